"""Who may see and change the quarantine and the listeners: operators.

With an admin token (``SMRTFLOW_EVENT_ADMIN_TOKEN``) set, whoever sends it as ``Authorization: Bearer`` (RFC 6750).
Without one, whoever speaks from this machine itself. A browser on this machine runs other people's pages, so what such
a page may cause is refused: a ``Host`` that is not this machine (a name that was bound anew to a loopback address), an
``Origin`` that is not this server, a request that the browser calls cross-site. So is what a proxy passes on.
"""

import hmac
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from eventserver.refusal import Code, Refusal
from eventserver.web.keys import SETTINGS

_OF_PROXIES: Final = (hdrs.X_FORWARDED_FOR, hdrs.FORWARDED, hdrs.VIA, "X-Real-IP")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def require_operator(request: web.Request) -> None:
    """Let operators pass.

    Raises:
        Refusal: ``unauthorized`` when the token is missing or wrong, ``forbidden`` when there is none to send.

    """
    token = request.app[SETTINGS].event_admin_token
    if token is None:
        _require_loopback(request)
        return
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    # Compared as bytes, and in constant time: a header may hold anything.
    right = hmac.compare_digest(
        given.strip().encode(errors="surrogateescape"), token.get_secret_value().encode(errors="surrogateescape")
    )
    if scheme.lower() != "bearer" or not right:
        raise Refusal(
            Code.UNAUTHORIZED, "This is for operators: send the admin token as Authorization: Bearer <token>."
        )


def for_operators(handler: Handler) -> Handler:
    """Let only operators come to a handler."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        require_operator(request)
        return await handler(request)

    return guarded


def _require_loopback(request: web.Request) -> None:
    if not is_loopback(request.remote or "") or any(name in request.headers for name in _OF_PROXIES):
        detail = (
            "Without an admin token (SMRTFLOW_EVENT_ADMIN_TOKEN) this is only for requests from the server's machine."
        )
        raise Refusal(Code.FORBIDDEN, detail)
    host = request.headers.get(hdrs.HOST, "")
    origin = request.headers.get(hdrs.ORIGIN)
    foreign_page = origin is not None and origin.lower() != f"{request.scheme}://{host.lower()}"
    cross_site = request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES
    if foreign_page or cross_site or not _is_this_machine(host):
        detail = "Set an admin token (SMRTFLOW_EVENT_ADMIN_TOKEN), or ask localhost, and not from another site's page."
        raise Refusal(Code.FORBIDDEN, detail)


def _is_this_machine(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Tell whether an IP address is of the loopback network, also as IPv4 inside IPv6."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback
