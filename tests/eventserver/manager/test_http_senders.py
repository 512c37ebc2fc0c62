"""Posting to a receiver: what it gets, and what its answers mean."""

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from backends.record import original_of
from eventserver.manager.addresses import AddressRefused, GuardedResolver, is_allowed
from eventserver.manager.auto_analysis import AutoAnalysisSender
from eventserver.manager.configuration import AutoAnalysisListener, Configured, WebhookListener
from eventserver.manager.sender import DeliveryFailed, DeliveryRefused
from eventserver.manager.webhook import WebhookSender
from support.job_events import job_event

LOCAL = ["127.0.0.0/8", "::1/128"]


class Hook:
    """A receiver: remembers requests, and answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[], web.Response] = web.Response
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        """Remember, and answer."""
        self.requests.append((dict(request.headers), await request.read()))
        return self.answer()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """Start a receiver."""
    hook = Hook()
    app = web.Application()
    app.router.add_post("/hook", hook.receive)
    async with TestServer(app) as server:
        hook.url = str(server.make_url("/hook"))
        yield hook


def webhook(url: str, secret: str | None = None, **more: Any) -> WebhookSender:
    """Make a sender."""
    described = {"type": "webhook", "url": url, "allowed_networks": LOCAL, **more}
    secrets = {} if secret is None else {"secret": SecretStr(secret), "token": SecretStr("t0ken")}
    return WebhookSender(Configured(WebhookListener.model_validate(described), secrets), clock=lambda: 1700000000.5)


async def test_an_event_is_posted_as_sent_and_signed(hook: Hook) -> None:
    """The signature is that of Standard Webhooks, made here without the sender's code."""
    event = job_event()
    async with webhook(hook.url, "whsec_" + base64.b64encode(b"key").decode()) as sender:
        await sender.send([event])
    [(headers, body)] = hook.requests
    assert body == original_of(event.record)
    signed = f"{event.uuid}.1700000000.".encode() + body
    expected = base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-id"] == event.uuid
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 409, 410, 413, 415, 422])
async def test_what_judges_the_event_is_final(hook: Hook, status: int) -> None:
    """The event itself is refused: a code for the dead letter, and what the receiver said."""
    hook.answer = lambda: web.Response(status=status, text="no\r\nthanks")
    async with webhook(hook.url) as sender:
        with pytest.raises(DeliveryRefused, match="no thanks") as caught:
            await sender.send([job_event()])
    assert caught.value.code == f"http_{status}"


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 429, 500, 503])
async def test_what_may_be_mended_is_tried_again(hook: Hook, status: int) -> None:
    """A failure that is not the event's is none for good; Retry-After is heard."""
    hook.answer = lambda: web.Response(status=status, headers={"Retry-After": "7", "Location": "/elsewhere"})
    async with webhook(hook.url) as sender:
        with pytest.raises(DeliveryFailed) as caught:
            await sender.send([job_event()])
    assert caught.value.retry_after == (7 if status >= 400 else None)
    assert len(hook.requests) == 1


async def test_nobody_there_and_nobody_answering(hook: Hook) -> None:
    """Both are failures within the time limit."""
    async with webhook("http://127.0.0.1:9/x") as sender:
        with pytest.raises(DeliveryFailed, match="can't be reached"):
            await sender.send([job_event()])

    async def hang(_: web.Request) -> web.Response:
        raise web.HTTPServiceUnavailable

    async def slow(request: web.Request) -> web.Response:
        await request.content.wait_eof()
        return await hang(request)

    async with webhook(hook.url, timeout_seconds=0.000001) as sender:
        with pytest.raises(DeliveryFailed, match="has not answered within"):
            await sender.send([job_event()])


async def test_private_addresses_are_refused_unless_allowed(hook: Hook) -> None:
    """An address that is not public gets nothing, whether it is written down or a name resolves to it."""
    port = hook.url.split(":")[2]
    for url in (hook.url, f"http://localhost:{port}", f"http://[::ffff:127.0.0.1]:{port}"):
        async with webhook(url, allowed_networks=[]) as sender:
            with pytest.raises(DeliveryFailed, match="no public address"):
                await sender.send([job_event()])
    async with webhook(f"http://2130706433:{port}", allowed_networks=[]) as sender:
        with pytest.raises(DeliveryFailed, match="not a canonical IPv4 address"):
            await sender.send([job_event()])
    assert hook.requests == []


class Rebinding(AbstractResolver):
    """A name that is public once, and loopback from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # type: ignore[override]
        """Answer."""
        self.asked += 1
        address = "8.8.8.8" if self.asked == 1 else "127.0.0.1"
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Do nothing."""


async def test_a_name_that_is_bound_anew_gains_nothing() -> None:
    """What is judged is what is connected to: each answer is judged, and only that is returned."""
    resolver = GuardedResolver([], Rebinding())
    assert [result["host"] for result in await resolver.resolve("rebinding.example.org")] == ["8.8.8.8"]
    with pytest.raises(AddressRefused, match=r"resolves to 127\.0\.0\.1"):
        await resolver.resolve("rebinding.example.org")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),
        *((address, False) for address in ("10.0.0.1", "192.168.1.1", "172.16.0.1", "127.0.0.1", "169.254.169.254")),
        *((address, False) for address in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1")),
        *((address, False) for address in ("fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "x")),
        ("2002:0a00:0001::1", False),
    ],
)
def test_public_addresses(address: str, *, allowed: bool) -> None:
    """Only what is public is allowed by itself, also where an IPv4 address is written as IPv6."""
    assert is_allowed(address, []) is allowed
    if not allowed and address != "x":
        network = ip_network("0.0.0.0/0") if "." in address and ":" not in address else ip_network("::/0")
        assert is_allowed(address, [network])


async def test_a_certificate_is_checked(hook: Hook) -> None:
    """A receiver that speaks TLS with an unknown certificate, or none at all, gets nothing."""
    async with webhook(hook.url.replace("http:", "https:")) as sender:
        with pytest.raises(DeliveryFailed, match="can't be reached"):
            await sender.send([job_event()])
        assert sender._session is not None
        assert isinstance(sender._session.connector._ssl, ssl.SSLContext)  # type: ignore[union-attr]
        assert sender._session.connector._ssl.verify_mode is ssl.CERT_REQUIRED  # type: ignore[union-attr]


def auto_analysis(url: str, job: dict[str, Any]) -> AutoAnalysisSender:
    """Make a sender of jobs."""
    described = {"type": "auto-analysis", "url": url, "allowed_networks": LOCAL, "job": job}
    return AutoAnalysisSender(Configured(AutoAnalysisListener.model_validate(described), {}))


async def test_a_job_is_made_of_the_event(hook: Hook) -> None:
    """Values keep their JSON type, and a text of the event stays a text, whatever it looks like."""
    hostile = '", "admin": true, "${uuid}": "'
    event = job_event(state=hostile, jobId=42, paths=["a", {"b": None}])
    job = {
        "name": "Analysis of ${message.jobId}: ${message.state}",
        "source": "${message.jobId}",
        "paths": "${message.paths}",
        "price": "$$5",
        "options": [{"system": "${smrtlinkId}"}, 7, True],
    }
    async with auto_analysis(hook.url, job) as sender:
        await sender.send([event])
    [(headers, body)] = hook.requests
    assert json.loads(body) == {
        "name": f"Analysis of 42: {hostile}",
        "source": 42,
        "paths": ["a", {"b": None}],
        "price": "$5",
        "options": [{"system": event.smrtlink_id}, 7, True],
    }
    assert headers["Idempotency-Key"] == event.uuid


async def test_an_event_without_what_a_job_needs_is_a_dead_letter(hook: Hook) -> None:
    """No job is made with a hole in it."""
    async with auto_analysis(hook.url, {"name": "${message.nothing}"}) as sender:
        with pytest.raises(DeliveryRefused, match=r"the event has no message\.nothing") as caught:
            await sender.send([job_event()])
    assert caught.value.code == "template"
    assert hook.requests == []
