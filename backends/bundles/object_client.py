"""The calls to S3-compatible object storage: each with a time limit, and with its errors in our words."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from backends.bundles.object_options import ObjectOptions
from backends.errors import InvalidStoreURL, StorageFull, StoreUnavailable

if TYPE_CHECKING:
    from obstore import GetResult

_CONNECT_SECONDS: Final = 5.0
_RETRIES: Final = 2
_PIECE_BYTES: Final = 1024 * 1024
_ONE_REQUEST_BYTES: Final = 64 * 1024 * 1024
_FULL: Final = re.compile(r"\b507 |StorageFull|QuotaExceeded")
_Result = TypeVar("_Result")


class ObjectClient:
    """A bucket, or what lies under a prefix of it.

    Every call raises ``StoreUnavailable`` when the storage does not answer in time or says no, and ``StorageFull`` when
    it says that it is full.
    """

    def __init__(self, options: ObjectOptions) -> None:
        limit = timedelta(seconds=options.timeout)
        config: dict[str, Any] = {
            # Not every storage can remove several at once, and there is never more than one to remove.
            "disable_bulk_delete": True,
            "virtual_hosted_style_request": (options.addressing or _usual(options)) == "virtual",
        }
        config |= {name: value for name in ("endpoint", "region") if (value := getattr(options, name)) is not None}
        try:
            self._store = S3Store(
                options.bucket,
                prefix=options.prefix or None,
                config=config,  # type: ignore[arg-type] # made from what is set
                client_options={
                    "allow_http": options.endpoint is not None and options.endpoint.startswith("http:"),
                    "connect_timeout": min(limit, timedelta(seconds=_CONNECT_SECONDS)),
                    "timeout": limit,
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": limit,
                    "backoff": {"max_backoff": timedelta(seconds=1)},
                },
            )
        except (BaseError, ValueError) as error:
            raise InvalidStoreURL("object storage can't be used as the URL and AWS_* in the environment say") from error
        self._timeout = options.timeout

    async def put(self, key: str, content: Path | bytes, size: int) -> None:
        """Store an object; when it returns, it is durable, and whoever reads it reads all of it.

        What is under the key is replaced. A large one goes in several parts.
        """
        sending = obstore.put_async(self._store, key, content, use_multipart=size > _ONE_REQUEST_BYTES)
        if not await self._found(sending):
            raise StoreUnavailable("the bucket of the bundles is not there")

    async def get(self, key: str) -> AsyncIterator[bytes] | None:
        """Return the pieces of an object, or None; to be read to the end within the time limit."""
        result = await self._found(obstore.get_async(self._store, key))
        return None if result is None else self._pieces(result)

    async def remove(self, key: str) -> None:
        """Remove an object. A missing one is fine."""
        await self._found(obstore.delete_async(self._store, key))

    async def list(self, prefix: str) -> AsyncIterator[Any]:
        """Run through the objects whose keys begin with a prefix and a slash, in order of their keys."""
        pages = aiter(obstore.list(self._store, prefix, chunk_size=1000))
        while page := await self._answered(_next(pages)):
            for each in page:
                yield each

    async def _pieces(self, result: "GetResult") -> AsyncIterator[bytes]:
        pieces = aiter(result.stream(min_chunk_size=_PIECE_BYTES))
        while (piece := await self._answered(_next(pieces))) is not None:
            yield bytes(piece)

    async def _found(self, call: Awaitable[_Result]) -> _Result | None:
        """Return what a call returns, None where there is no such object."""
        try:
            return await self._answered(_awaited(call))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise StoreUnavailable("the bucket of the bundles is not there") from error
            return None

    async def _answered(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        try:
            async with asyncio.timeout(self._timeout):
                return await call
        except TimeoutError:
            raise StoreUnavailable("the object storage of the bundles has not answered in time") from None
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            if _FULL.search(str(error)):
                raise StorageFull("the object storage of the bundles is full") from error
            raise StoreUnavailable("the object storage of the bundles can't be used") from error


async def _awaited(call: Awaitable[_Result]) -> _Result:
    return await call


async def _next(items: AsyncIterator[_Result]) -> _Result | None:
    return await anext(items, None)


def _usual(options: ObjectOptions) -> str:
    return "virtual" if options.endpoint is None else "path"
