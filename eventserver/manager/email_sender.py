"""``email``: mails that tell of events, several in one, and not more than so many an hour."""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, localtime, make_msgid
from typing import Final, cast

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from backends.base import Event
from eventserver.manager.configuration import Configured, EmailListener
from eventserver.manager.event_values import read_value
from eventserver.manager.sender import DeliveryFailed, DeliveryRefused, Sender
from eventserver.manager.templates import fill_text

MOST_EVENTS: Final = 1_000
_SHOWN_EVENTS: Final = 100
_HOUR: Final = 3_600.0
_LONGEST_SUBJECT: Final = 200
_PERMANENT: Final = range(500, 600)
_NOT_SUPPORTED: Final = frozenset({530, 534, 535, 538})
"""What concerns the sender's right to send at all, and so every mail."""


class EmailSender(Sender):
    """See the module.

    Args:
        configured: the listener.
        clock: seconds, for the rate.

    """

    lanes = 1
    most_events = MOST_EVENTS

    def __init__(self, configured: Configured, clock: Callable[[], float] = time.monotonic) -> None:
        assert isinstance(configured.listener, EmailListener)
        self._listener = configured.listener
        self._password = configured.secret("password")
        self._clock = clock
        self._sent: deque[float] = deque()

    async def collect(self) -> None:
        """Wait for more events, and until a mail may be sent."""
        await asyncio.sleep(self._listener.digest_seconds)
        while (wait := self._wait_seconds()) > 0:  # noqa: ASYNC110 - it is the time that is waited for
            await asyncio.sleep(wait)

    async def send(self, events: Sequence[Event]) -> None:
        """Send one mail that tells of these events.

        Raises:
            DeliveryFailed, DeliveryRefused: no server has taken it.

        """
        listener = self._listener
        message = make_message(listener, events)
        try:
            async with asyncio.timeout(listener.timeout_seconds):
                async with self._client() as client:
                    await client.send_message(message)
        except TimeoutError:
            raise DeliveryFailed(f"{listener.host} has not answered within {listener.timeout_seconds:g} s") from None
        except SMTPRecipientsRefused as error:
            codes = {refused.code for refused in error.recipients}
            raise _error_of(min(codes, default=450), f"{listener.host} refused every recipient: {error}") from error
        except SMTPResponseException as error:
            raise _error_of(error.code, f"{listener.host} answered {error.code}: {error.message}") from error
        except (SMTPException, OSError) as error:
            raise DeliveryFailed(f"{listener.host} can't be used: {error or type(error).__name__}") from error
        self._sent.append(self._clock())

    def _client(self) -> "_Client":
        listener = self._listener
        secure = listener.tls != "none"
        context = ssl.create_default_context(cafile=None if listener.ca_file is None else str(listener.ca_file))
        return _Client(
            hostname=listener.host,
            port=listener.port,
            use_tls=listener.tls == "tls",
            start_tls=listener.tls == "starttls",
            tls_context=context if secure else None,
            username=listener.username,
            password=self._password,
            timeout=listener.timeout_seconds,
        )

    def _wait_seconds(self) -> float:
        now = self._clock()
        while self._sent and self._sent[0] <= now - _HOUR:
            self._sent.popleft()
        full = len(self._sent) >= self._listener.mails_per_hour
        return self._sent[0] + _HOUR - now if full else 0.0


class _Client(SMTP):
    def close(self) -> None:
        """Close at once: a server that does not answer TLS's goodbye would hold the connection for 30 s more."""
        transport = cast("asyncio.WriteTransport | None", self.transport)
        super().close()
        if transport is not None:
            transport.abort()


def make_message(listener: EmailListener, events: Sequence[Event]) -> EmailMessage:
    """Make the mail: of each event what the template says; the first hundred, and how many more there are."""
    values = [read_value(event) for event in events[:_SHOWN_EVENTS]]
    subject = fill_text(listener.subject, values[0])
    if len(events) > 1:
        subject = f"{len(events)} events, the first: {subject}"
    texts = [fill_text(listener.body, value) for value in values]
    if len(events) > _SHOWN_EVENTS:
        texts.append(f"... and {len(events) - _SHOWN_EVENTS} more")
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = listener.sender
    message["To"] = ", ".join(listener.recipients)
    message["Subject"] = subject[:_LONGEST_SUBJECT]
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=listener.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n\n".join(texts) + "\n", cte="base64")
    return message


def _error_of(code: int, message: str) -> Exception:
    if code in _PERMANENT and code not in _NOT_SUPPORTED:
        return DeliveryRefused(message, f"smtp_{code}")
    return DeliveryFailed(message)
