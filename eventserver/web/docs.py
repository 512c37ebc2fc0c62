"""``GET /api/v1/docs``: the OpenAPI document for people, served without anything from elsewhere."""

from importlib.resources import files
from typing import Final

from aiohttp import web

from eventserver.refusal import Code, Refusal

_TYPES: Final = {"docs.css": "text/css", "docs.js": "text/javascript"}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes() -> list[web.RouteDef]:
    """Return the routes; the files are read now."""
    folder = files("eventserver.web") / "assets"
    page = (folder / "docs.html").read_bytes()
    assets = {name: (folder / name).read_bytes() for name in _TYPES}

    async def get_page(request: web.Request) -> web.Response:  # noqa: ARG001 - the form of a handler
        return _answer(page, "text/html")

    async def get_asset(request: web.Request) -> web.Response:
        name = request.match_info["asset"]
        if name not in assets:
            raise Refusal(Code.NOT_FOUND, "The page has no such part.")
        return _answer(assets[name], _TYPES[name])

    return [web.get("/api/v1/docs", get_page), web.get("/api/v1/docs/{asset}", get_asset)]


def _answer(body: bytes, media_type: str) -> web.Response:
    return web.Response(body=body, content_type=media_type, charset="utf-8", headers=_HEADERS)
