"""How a client says who it is: a bearer token, or the HMAC of installed SMRT Link systems."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 100


class Credentials:
    """What goes into the headers of each request; neither is ever shown.

    Args:
        token: sent as ``Authorization: Bearer TOKEN``.
        secret: shared with the server; sent is ``Authentication: hmac UID:BASE64``, the HMAC-SHA256 of method, path and
            a window of 100 seconds. The body is not signed, so this needs TLS against whoever can change it.
        uid: the name before the HMAC.
        clock: seconds since the epoch.

    """

    def __init__(
        self,
        token: str | None = None,
        secret: str | None = None,
        *,
        uid: str = "uid",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._token = token
        self._secret = secret
        self._uid = uid
        self._clock = clock

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Return the headers of one request.

        Args:
            method: in upper case.
            path: absolute, without the query.

        """
        headers = {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._secret is not None:
            window = int(self._clock() * 1000) // (_WINDOW_SECONDS * 1000)
            text = f"{method}+{path}+{window}"
            digest = hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).digest()
            headers["Authentication"] = f"hmac {self._uid}:{base64.b64encode(digest).decode()}"
        return headers
