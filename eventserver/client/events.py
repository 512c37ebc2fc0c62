"""Events as a caller gives them, and as they are sent."""

import json
from collections.abc import Mapping
from typing import Any

SentEvent = bytes | str | Mapping[str, Any]
"""A SMRT Link System Message: JSON text, sent token for token, or a mapping that is made into such."""


def text_of(event: SentEvent) -> bytes:
    """Return the text that is sent.

    Raises:
        ValueError, TypeError: a mapping with something that JSON does not have, such as NaN.

    """
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    return json.dumps(dict(event), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def line_of(text: bytes) -> bytes:
    """Return it on one line. A line break in JSON is always white space between tokens."""
    return text.replace(b"\n", b" ").replace(b"\r", b" ")
