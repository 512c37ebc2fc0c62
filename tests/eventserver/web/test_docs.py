"""``GET /api/v1/docs``: a page that needs nothing from elsewhere."""

import re

from aiohttp.test_utils import TestClient


async def test_everything_is_here(client: TestClient) -> None:
    """What the page refers to is served by this server, and its policy allows nothing else."""
    page = await client.get("/api/v1/docs")
    text = await page.text()
    assert page.content_type == "text/html"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    referred = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert len(referred) == 3
    for path in referred:
        assert path.startswith("/api/v1/")
        assert (await client.get(path)).status == 200
    assert not re.search(r"<(style|script)>|\son\w+=|\sstyle=|https?://", text)


async def test_media_types(client: TestClient) -> None:
    """The parts are called what they are, since the page forbids guessing."""
    for name, media_type in (("docs.css", "text/css"), ("docs.js", "text/javascript")):
        answer = await client.get(f"/api/v1/docs/{name}")
        assert (answer.content_type, answer.headers["X-Content-Type-Options"]) == (media_type, "nosniff")


async def test_unknown_part(client: TestClient) -> None:
    """A part that does not exist is not found."""
    assert (await client.get("/api/v1/docs/..%2Fdocs.py")).status == 404
