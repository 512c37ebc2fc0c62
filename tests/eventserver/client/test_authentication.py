"""Credentials as they stand in the headers of a request."""

import base64
import hashlib
import hmac

from eventserver.client import EventServerClient
from eventserver.client.authentication import Credentials
from support.faulty_server import FaultyServer


def test_the_hmac_is_that_of_installed_clients() -> None:
    """``docs/reference``: base64(HMAC-SHA256(secret, METHOD+/path+W)), W = milliseconds since the epoch / 100000."""
    credentials = Credentials(secret="secret", uid="me", clock=lambda: 1_790_000_099.9)
    digest = hmac.new(b"secret", b"POST+/api/v1/events+17900000", hashlib.sha256).digest()

    headers = credentials.headers("POST", "/api/v1/events")

    assert headers == {"Authentication": f"hmac me:{base64.b64encode(digest).decode()}"}


def test_a_new_window_begins_after_a_hundred_seconds() -> None:
    """A new window begins after a hundred seconds."""

    def at(seconds: float) -> dict[str, str]:
        return Credentials(secret="secret", clock=lambda: seconds).headers("GET", "/status")

    assert at(1_790_000_000) == at(1_790_000_099.999)
    assert at(1_790_000_000) != at(1_790_000_100)


async def test_each_request_carries_token_and_hmac_of_its_path_without_the_query(faulty: FaultyServer) -> None:
    """Each request carries token and hmac of its path without the query."""
    faulty.then(200, [])
    async with EventServerClient(faulty.url, token="the-token", secret="secret") as client:
        assert [event async for event in client.find(limit=5)] == []

    [asked] = faulty.asked
    assert asked.headers["Authorization"] == "Bearer the-token"
    expected = Credentials(secret="secret").headers("GET", "/api/v1/events")
    assert asked.headers["Authentication"] == expected["Authentication"]


async def test_without_credentials_no_header_is_sent(faulty: FaultyServer) -> None:
    """Without credentials no header is sent."""
    faulty.then(200, [])
    async with EventServerClient(faulty.url) as client:
        await client.event_types()

    assert not {"Authorization", "Authentication"} & set(faulty.asked[0].headers)
