"""Sending a bundle: multipart, streamed from the disk, in the one part that installed clients send."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import FormData

from eventserver.client.transport import Answer, Transport

UPLOAD_SECONDS: Final = 300.0
_FILES: Final = "/api/v1/files"
_FIELD: Final = "techsupport_tgz"


Progress = Callable[[int], None]
"""Is told how many bytes of the file are read so far, in whatever thread reads it; less again when a try begins."""


class _Watched(io.BufferedReader):
    """A file that tells how far it is read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(io.FileIO(path))
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._progress(self.tell())
        return data


async def upload(transport: Transport, bundle: Path, *, seconds: float, progress: Progress | None = None) -> Answer:
    """Send it, once. It is read off the event loop, a part at a time.

    Raises:
        OSError: the file can't be opened.
        EventServerError: it was not taken.

    """
    with await asyncio.to_thread(_Watched, bundle, progress or (lambda _: None)) as file:
        form = FormData()
        form.add_field(_FIELD, file, content_type="application/octet-stream", filename=bundle.name)
        return await transport.call("POST", _FILES, data=form, timeout=seconds)
