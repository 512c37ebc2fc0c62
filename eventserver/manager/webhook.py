"""``webhook``: each event is posted as it was sent, and signed.

The signature is that of *Standard Webhooks* (https://www.standardwebhooks.com), so that receivers have libraries:
``webhook-id`` (the event's uuid), ``webhook-timestamp`` (seconds since the epoch) and ``webhook-signature``, which is
``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``. The key is the secret's text; one that begins with
``whsec_`` is base64 behind that.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final

from backends.base import Event
from backends.record import original_of
from eventserver.manager.configuration import Configured
from eventserver.manager.http_sender import HttpSender

_ENCODED: Final = "whsec_"


class WebhookSender(HttpSender):
    """See the module.

    Args:
        configured: the listener.
        clock: seconds since the epoch.

    """

    def __init__(self, configured: Configured, clock: Callable[[], float] = time.time) -> None:
        super().__init__(configured)
        secret = configured.secret("secret")
        self._key = None if secret is None else key_of(secret)
        self._clock = clock

    def make_request(self, event: Event) -> tuple[bytes, Mapping[str, str]]:
        """Return the event as sent, and its signature."""
        body = original_of(event.record)
        moment = int(self._clock())
        headers = {"webhook-id": event.uuid, "webhook-timestamp": str(moment)}
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, event.uuid, moment, body)
        return body, headers


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for."""
    if secret.startswith(_ENCODED):
        try:
            return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def sign(key: bytes, identity: str, moment: int, body: bytes) -> str:
    """Return a signature."""
    digest = hmac.digest(key, b"%b.%d.%b" % (identity.encode(), moment, body), "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
