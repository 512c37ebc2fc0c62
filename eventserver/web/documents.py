"""JSON documents that the service makes itself; events go out as the bytes that came in (``responses``)."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic_core import to_json


def document(
    value: Any, *, status: int = 200, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a JSON value."""
    return web.Response(status=status, body=to_json(value), content_type=content_type, headers=headers)
