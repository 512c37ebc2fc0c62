"""Listeners as one TOML file describes them.

::

    [listeners.support]                 # its name: lower case, digits, hyphens
    type = "webhook"                    # or "email", "auto-analysis"
    event_types = ["smrtlink_job_*"]
    condition = 'message.state == "FAILED"'
    url = "https://hooks.example.org/smrtlink"
    secret = "env:SUPPORT_HOOK_SECRET"

Reading it opens nothing and sends nothing.
"""

import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from eventserver.config import ConfigurationError
from eventserver.manager.conditions import Condition
from eventserver.manager.filters import Filter
from eventserver.manager.secrets import SecretReference, SecretUnavailable, read_secret
from eventserver.manager.templates import require_template

is_name: Final = re.compile(r"[a-z][a-z0-9-]{0,39}").fullmatch
"""Tells whether a text can name a listener: a match, or None."""
SECRET_FIELDS: Final = ("secret", "token", "password")
_is_glob: Final = re.compile(r"[a-z0-9_*?]{1,100}").fullmatch
_is_address: Final = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+").fullmatch
_DEFAULT_BODY: Final = "${eventTypeId} of ${smrtlinkId} (${dnsName}) at ${createdAt}, event ${uuid}"


def _require_glob(text: str) -> str:
    if not _is_glob(text):
        msg = "it should be an event type's id, in which * stands for any text, such as smrtlink_job_*"
        raise ValueError(msg)
    return text


def _require_condition(text: str) -> str:
    Condition(text)
    return text


def _require_address(text: str) -> str:
    if not _is_address(text):
        msg = "it should be an address such as support@example.org"
        raise ValueError(msg)
    return text


def _require_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = "it should be a URL such as https://hooks.example.org/smrtlink"
        raise ValueError(msg)
    if parts.username is not None or parts.password is not None:
        msg = "it should hold no user and no password; use token"
        raise ValueError(msg)
    return text


def _require_templates(value: dict[str, Any]) -> dict[str, Any]:
    def walk(part: Any) -> None:
        if isinstance(part, str):
            require_template(part)
        elif isinstance(part, Mapping):
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(value)
    return value


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Url = Annotated[str, AfterValidator(_require_url)]
Address = Annotated[str, AfterValidator(_require_address)]
Text = Annotated[str, AfterValidator(require_template)]
Network = IPv4Network | IPv6Network


class _Listener(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    event_types: tuple[Annotated[str, AfterValidator(_require_glob)], ...] = Field(
        ("*",), min_length=1, description="Globs on the event type's id"
    )
    versions: tuple[Annotated[int, Field(ge=1)], ...] = Field((), description="Versions of the event type; none: any")
    condition: Annotated[str, AfterValidator(_require_condition)] | None = Field(None, description="In CEL")
    tries: int = Field(20, ge=1, le=10_000, description="After so many the event goes to the dead letters")
    first_wait_seconds: Seconds = Field(1, description="Longest wait after the first failure; it doubles")
    longest_wait_seconds: Seconds = Field(600, description="Longest wait between two tries")
    timeout_seconds: Seconds = Field(10, description="Longest time for one try")

    def make_filter(self) -> Filter:
        """Return the filter."""
        return Filter(self.event_types, self.versions, self.condition)


class _HttpListener(_Listener):
    url: Url = Field(description="Where events are posted")
    token: SecretReference | None = Field(None, description="Sent as `Authorization: Bearer`")
    allowed_networks: tuple[Network, ...] = Field(
        (), description="Networks that are not public and may be sent to, such as `10.1.0.0/16`"
    )
    ca_file: Path | None = Field(None, description="Certificates to trust in place of the system's, PEM")
    concurrency: int = Field(8, ge=1, le=64, description="Posts at a time; those of one system go one by one")


class WebhookListener(_HttpListener):
    """Posts each event as it was sent, signed."""

    type: Literal["webhook"]
    secret: SecretReference | None = Field(None, description="Signs each post (Standard Webhooks)")


class AutoAnalysisListener(_HttpListener):
    """Posts a job that is made of the event."""

    type: Literal["auto-analysis"]
    job: Annotated[dict[str, Any], AfterValidator(_require_templates)] = Field(
        description="The body of the post, with places such as `${message.jobId}`"
    )


class EmailListener(_Listener):
    """Sends mails that tell of events."""

    type: Literal["email"]
    host: str = Field(min_length=1, description="The SMTP server")
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is made secure")
    ca_file: Path | None = Field(None, description="Certificates to trust in place of the system's, PEM")
    username: str | None = None
    password: SecretReference | None = None
    sender: Address
    recipients: tuple[Address, ...] = Field(min_length=1, max_length=100)
    subject: Text = Field("${eventTypeId} of ${smrtlinkId}", description="Of a mail about one event")
    body: Text = Field(_DEFAULT_BODY, description="Of each event; several go into one mail")
    digest_seconds: float = Field(60, ge=0, le=86_400, description="How long events are collected for one mail")
    mails_per_hour: int = Field(20, ge=1, le=3_600, description="More are not sent; what comes meanwhile is collected")

    @model_validator(mode="after")
    def _require_both(self) -> "EmailListener":
        if (self.username is None) != (self.password is None):
            msg = "username and password go together"
            raise ValueError(msg)
        if self.password is not None and self.tls == "none":
            msg = "a password is not sent over a connection without TLS"
            raise ValueError(msg)
        return self


Listener = WebhookListener | EmailListener | AutoAnalysisListener


class Configured(NamedTuple):
    """A listener with the secrets that it refers to, by the names of the fields."""

    listener: Listener
    secrets: dict[str, SecretStr]

    def secret(self, field: str) -> str | None:
        """Return a secret; None when the listener has none of that name."""
        found = self.secrets.get(field)
        return None if found is None else found.get_secret_value()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    listeners: dict[str, Annotated[Listener, Field(discriminator="type")]] = Field(default_factory=dict)


_FILE: Final = TypeAdapter(_File)


def read_listeners(path: Path) -> dict[str, Listener]:
    """Read the file of the listeners; blocks.

    Raises:
        ConfigurationError: it can't be used; one line for each problem, none with a value that may be secret.

    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the file of the listeners, {path}, can't be read: {error}") from error
    return parse_listeners(text, str(path))


def load_listeners(path: Path) -> dict[str, Configured]:
    """Read the file of the listeners, and the secrets; blocks.

    Raises:
        ConfigurationError: it can't be used, or a secret can't be read; one line for each problem.

    """
    configured: dict[str, Configured] = {}
    problems: list[str] = []
    for name, listener in read_listeners(path).items():
        secrets: dict[str, SecretStr] = {}
        for field in SECRET_FIELDS:
            reference = getattr(listener, field, None)
            if reference is not None:
                try:
                    secrets[field] = SecretStr(read_secret(reference))
                except SecretUnavailable as error:
                    problems.append(f"{path}: listeners.{name}.{field}: {error}")
        configured[name] = Configured(listener, secrets)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return configured


def parse_listeners(text: str, where: str) -> dict[str, Listener]:
    """Read the text of such a file.

    Args:
        text: in TOML.
        where: what it is called in messages.

    Raises:
        ConfigurationError: it can't be used; one line for each problem.

    """
    try:
        listeners = _FILE.validate_python(tomllib.loads(text)).listeners
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where} is not TOML: {error}") from error
    except ValidationError as error:
        lines = [
            f"{where}: {_place(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ConfigurationError("\n".join(lines)) from None
    bad = [name for name in listeners if not is_name(name)]
    if bad:
        raise ConfigurationError(
            "\n".join(f"{where}: {name!r} can't name a listener: use lower case, digits and hyphens" for name in bad)
        )
    return listeners


def _place(location: tuple[int | str, ...]) -> str:
    kinds = {"webhook", "email", "auto-analysis"}
    return ".".join(str(part) for number, part in enumerate(location) if number < 2 or part not in kinds)  # noqa: PLR2004 - behind the name
