"""Mails, to a real SMTP server in this process."""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from eventserver.manager.configuration import Configured, EmailListener
from eventserver.manager.email_sender import EmailSender
from eventserver.manager.listeners import MakeSender
from eventserver.manager.sender import DeliveryFailed, DeliveryRefused
from support.job_events import job_event
from support.listeners import listened, wait_until_settled
from tests.system.server_process import free_port


class Inbox:
    """What the SMTP server has taken, and how it answers."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.secure: list[bool] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's
        """Take a mail."""
        if self.answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append(message)
            self.secure.append(session.ssl is not None)
        return self.answer


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for localhost, with its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def inbox() -> Inbox:
    """Return an empty inbox."""
    return Inbox()


def _authenticate(*arguments: Any) -> AuthResult:
    data = arguments[-1]
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"pw")
    return AuthResult(success=right, handled=False)


@pytest.fixture
def smtp(inbox: Inbox, certificate: Path) -> Iterator[int]:
    """Start a server that wants STARTTLS and a password; returns its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    port = free_port()
    controller = Controller(
        inbox,
        hostname="localhost",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=_authenticate,
        auth_required=True,
    )
    controller.start()
    yield port
    controller.stop()


Make = Callable[..., EmailSender]


@pytest.fixture
def make(smtp: int, certificate: Path) -> Make:
    """Return what makes a sender to that server."""

    def made(password: str = "pw", **more: Any) -> EmailSender:
        described = {
            "type": "email",
            "host": "localhost",
            "port": smtp,
            "ca_file": str(certificate.with_suffix(".crt")),
            "username": "me",
            "password": "env:X",
            "sender": "events@example.org",
            "recipients": ["a@example.org", "b@example.org"],
            "digest_seconds": 0,
            **more,
        }
        return EmailSender(Configured(EmailListener.model_validate(described), {"password": SecretStr(password)}))

    return made


async def test_a_mail_tells_of_an_event(inbox: Inbox, make: Make) -> None:
    """It is sent over TLS after authentication; subject and body are filled from the event."""
    event = job_event(jobId=7, state="FAILED")
    sender = make(subject="Job ${message.jobId} is ${message.state}", body="See ${message.jobId}, ${message.no}.")
    await sender.send([event])
    [mail] = inbox.mails
    assert inbox.secure == [True]
    assert mail["Subject"] == "Job 7 is FAILED"
    assert mail["To"] == "a@example.org, b@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().strip() == "See 7, ."


async def test_an_event_can_not_forge_a_mail(inbox: Inbox, make: Make) -> None:
    """Line ends in a value add no header and no recipient; a place in a value stays a text."""
    event = job_event(state="x\r\nBcc: evil@example.org\r\n\r\nhello ${uuid}\x00" + "y" * 5000)
    await make(subject="${message.state}", body="${message.state}").send([event])
    [mail] = inbox.mails
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("x Bcc: evil@example.org hello ${uuid}")
    assert len(mail["Subject"]) <= 200
    assert len(mail.get_content().strip().splitlines()) == 1


async def test_a_thousand_failures_are_one_mail(inbox: Inbox, make: Make) -> None:
    """Events that come together go together: the first hundred are shown, and how many there are."""
    events = [job_event(jobId=number) for number in range(1000)]
    await make(body="job ${message.jobId}").send(events)
    [mail] = inbox.mails
    assert mail["Subject"].startswith("1000 events, the first: smrtlink_job_change_state")
    text = mail.get_content()
    assert "job 99" in text
    assert "job 100" not in text
    assert "... and 900 more" in text


async def test_mails_are_limited(inbox: Inbox, make: Make, tmp_path: Path) -> None:
    """Through a listener: what comes while no mail may be sent is in the next one, and nothing is lost."""
    clock = [0.0]

    def make_sender(_: str, __: Configured) -> EmailSender:
        sender = make(digest_seconds=0.2, mails_per_hour=1, body="${uuid}")
        sender._clock = lambda: clock[0]
        return sender

    maker: MakeSender = make_sender
    configured = Configured(make()._listener, {})

    class Makers(dict[str, Any]):
        make = staticmethod(maker)

    events = [job_event() for _ in range(30)]
    async with listened(tmp_path, Makers(), mail=configured) as (store, found):  # type: ignore[arg-type]
        await wait_until_settled(found, ["mail"])
        await store.put(events[:10])
        async with asyncio.timeout(20):
            while not inbox.mails:  # noqa: ASYNC110 - a list is looked at
                await asyncio.sleep(0.01)
        await store.put(events[10:])
        subscription = found.get("mail")
        assert subscription is not None
        sender = subscription._sender
        assert isinstance(sender, EmailSender)
        assert sender._wait_seconds() == 3600
        sender._sent.clear()
    told = "".join(mail.get_content() for mail in inbox.mails)
    assert all(event.uuid in told for event in events[:10])


@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 no", DeliveryRefused), ("554 spam", DeliveryRefused), ("451 later", DeliveryFailed)],
)
async def test_what_the_server_refuses(inbox: Inbox, make: Make, answer: str, error: type[Exception]) -> None:
    """5yz is final, 4yz is tried again."""
    inbox.answer = answer
    with pytest.raises(error, match=answer.split(maxsplit=1)[0]):
        await make().send([job_event()])


async def test_a_wrong_password_or_certificate_is_no_fault_of_the_event(make: Make) -> None:
    """Both are tried again, and neither shows the password."""
    with pytest.raises(DeliveryFailed) as caught:
        await make(password="hunter2").send([job_event()])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(DeliveryFailed, match="can't be used"):
        await make(ca_file=None).send([job_event()])
    with pytest.raises(DeliveryFailed, match="can't be used"):
        await make(port=9).send([job_event()])


async def test_a_server_that_does_not_end_its_side_holds_no_connection(make: Make, certificate: Path) -> None:
    """TLS's goodbye may stay unanswered."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    ended = threading.Event()

    def serve(listening: socket.socket) -> None:
        with listening:
            secure = context.wrap_socket(listening.accept()[0], server_side=True)
            secure.sendall(b"220 x\r\n")
            secure.recv(1000)
            secure.sendall(b"421 x\r\n")
            with socket.socket(fileno=secure.detach()) as below:
                below.settimeout(10)
                while below.recv(1000):
                    pass
            ended.set()

    listening = socket.create_server(("localhost", 0))
    port = listening.getsockname()[1]
    thread = threading.Thread(target=serve, args=(listening,), daemon=True)
    thread.start()
    with pytest.raises(DeliveryFailed):
        await make(port=port, tls="tls").send([job_event()])
    assert await asyncio.to_thread(ended.wait, 5)
    thread.join()
