"""Sending a bundle: multipart, streamed from the disk, in the one part that installed clients send."""

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import FormData

from eventserver.client.transport import Answer, Transport

UPLOAD_SECONDS: Final = 300.0
_FILES: Final = "/api/v1/files"
_FIELD: Final = "techsupport_tgz"


async def upload(transport: Transport, bundle: Path, *, seconds: float) -> Answer:
    """Send it, once. It is read off the event loop, a part at a time.

    Raises:
        OSError: the file can't be opened.
        EventServerError: it was not taken.

    """
    with await asyncio.to_thread(bundle.open, "rb") as file:
        form = FormData()
        form.add_field(_FIELD, file, content_type="application/octet-stream", filename=bundle.name)
        return await transport.call("POST", _FILES, data=form, timeout=seconds)
