"""Settings: one frozen object, read once at the start from the environment and a TOML file, and passed down.

Nothing else reads the environment. ``Settings(...)`` reads nothing either: it is a value, with defaults;
``load_settings`` is the one place where the outside is read.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from backends.bundles.retention import Retention

_PREFIX: Final = "SMRTFLOW_"
_CHECKED_PREFIX: Final = "SMRTFLOW_EVENT_"
_PREDECESSOR_NAMES: Final = {"PB_SERVICES_PORT": "server_port", "EVE_ROOT_DIR": "event_root_dir"}
_DECIMAL_UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS: Final = _DECIMAL_UNITS | {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


class ConfigurationError(Exception):
    """The configuration can't be used; the message says which name or file, and what would be right."""


class SettingOrigin(NamedTuple):
    """One setting in force, for people."""

    name: str
    """The name in the environment."""
    value: str
    """As text; secrets as ``***``."""
    origin: str
    """``default``, ``environment``, ``environment (PB_SERVICES_PORT)`` or ``file /etc/eventserver.toml``."""


def parse_bytes(value: object) -> object:
    """Read a number of bytes: ``1048576``, ``1 MiB``, ``1.5GB``.

    Raises:
        ValueError: text that is no such number.

    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", value)
    if match is None or match[2].lower() not in _UNITS:
        msg = "it should be a number of bytes, such as 1048576 or 1 MiB"
        raise ValueError(msg)
    return round(float(match[1]) * _UNITS[match[2].lower()]) if match[2] or "." in match[1] else int(match[1])


def parse_retention(value: object) -> object:
    """Read how long archives are kept: ``90 days``, ``100 GiB``, or both; with ``dry run`` nothing is removed.

    Raises:
        ValueError: text that says something else.

    """
    if not isinstance(value, str):
        return value
    age, size, is_dry_run = None, None, False
    for part in filter(None, (part.strip().lower() for part in value.split(","))):
        if match := re.fullmatch(r"([1-9][0-9]{0,4}) ?(?:d|days?)", part):
            age = timedelta(days=int(match[1]))
        elif part == "dry run":
            is_dry_run = True
        elif re.fullmatch(r"[0-9.]+ ?[kmgt]i?b", part):
            size = int(str(parse_bytes(part)))
        else:
            msg = f"{part!r} is none of: an age such as 90 days, a size such as 100 GiB, dry run"
            raise ValueError(msg)
    return Retention(age, size, is_dry_run)


def packaged_schemas() -> Path:
    """Return the directory of the schemas of this release: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent
    in_wheel = package / "_schemas"
    return in_wheel if in_wheel.is_dir() else package.parent / "schemas"


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Everything that can be set. A field's name in the environment is ``SMRTFLOW_`` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    server_host: str = Field("0.0.0.0", description="Address to listen on")  # noqa: S104 - a server for other machines
    server_port: int = Field(8070, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    event_root_dir: Path = Field(Path("events"), description="Directory of all data")
    event_store: str = Field("file:", description="URL of the store")
    event_schema_dir: Path = Field(default_factory=packaged_schemas, description="Directory of the schemas")
    event_schema_poll_seconds: Seconds = Field(10, description="How often the schemas are looked at for a change")
    event_max_event_bytes: Bytes = Field(2**20, description="Largest event")
    event_max_batch_bytes: Bytes = Field(16 * 2**20, description="Largest batch, in bytes")
    event_max_batch_events: int = Field(10_000, ge=1, description="Largest batch, in events")
    event_max_bundle_bytes: Bytes = Field(8 * 2**20, description="Bundles must be smaller than this")
    event_upload_timeout_seconds: Seconds = Field(300, description="Longest wait for a bundle to arrive")
    event_bundle_retention: Annotated[Retention, BeforeValidator(parse_retention)] = Field(
        Retention(), description="What is kept of bundles: `90 days, 100 GiB`; with `dry run` nothing is removed"
    )
    event_admin_token: SecretStr | None = Field(None, description="Token of operators (`Authorization: Bearer ...`)")
    event_api_secret: SecretStr | None = Field(None, description="Shared secret of the clients; not enforced yet")
    event_listeners: Path | None = Field(None, description="TOML file of the listeners that events are handed on to")
    event_body_timeout_seconds: Seconds = Field(30, description="Longest wait for the body of a request")
    event_store_timeout_seconds: Seconds = Field(2, description="Longest wait for the store")
    event_shutdown_timeout_seconds: Seconds = Field(20, description="Longest wait for requests in flight at a stop")
    event_log_format: Literal["auto", "console", "json"] = Field("auto", description="`auto`: console on a terminal")
    event_log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged")
    event_spool_max_bytes: Bytes = Field(10 * 2**30, description="Largest spool: events that wait for the store")
    event_quarantine_max_bytes: Bytes = Field(2**30, description="Largest quarantine, in bytes")
    event_quarantine_max_days: int = Field(90, ge=1, description="Days that a refused event is kept at most")

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the names are the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing when constructed: ``load_settings`` says what comes before what."""
        return (init_settings,)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know about this configuration, one sentence each; logged at the start."""
        return self._warnings

    def describe(self) -> list[SettingOrigin]:
        """Return what is in force and where each value came from, in the order of the fields, secrets hidden."""
        return [
            SettingOrigin(environment_name(name), _show(getattr(self, name)), self._origins.get(name, "default"))
            for name in type(self).model_fields
        ]


def environment_name(field: str) -> str:
    """Return a field's name in the environment."""
    return _PREFIX + field.upper()


def load_settings(config: Path | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings: overrides (command line) before environment before file before defaults.

    An empty environment variable counts as not set. The predecessor's names work below the new ones.

    Args:
        config: a TOML file whose keys are the names of the fields (``server_port = 8070``).
        overrides: values by field, from the command line; None means not given.

    Raises:
        ConfigurationError: an unknown name, an impossible value, an unreadable file; one line for each.

    """
    found: dict[str, tuple[object, str]] = {}
    warnings: list[str] = []
    if config is not None:
        found.update({name: (value, f"file {config}") for name, value in _read_file(config).items()})
    found.update(_read_predecessor_names(warnings))
    _refuse_unknown(
        (name for name in os.environ if name.upper().startswith(_CHECKED_PREFIX)),
        [environment_name(field) for field in Settings.model_fields],
        "the environment",
    )
    found.update({name: (value, "environment") for name, value in EnvSettingsSource(Settings)().items()})
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    found.update({name: (value, "command line") for name, value in given.items()})
    settings = _build(found)
    if settings.event_api_secret is not None:
        warnings.append("SMRTFLOW_EVENT_API_SECRET is set but not enforced yet: every sender is let in")
    settings._origins.update({name: origin for name, (_, origin) in found.items()})  # noqa: SLF001 - its own module
    settings._warnings = tuple(warnings)  # noqa: SLF001
    return settings


def _read_file(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"the configuration file {path} can't be read: {error}"
        raise ConfigurationError(msg) from error
    _refuse_unknown(values, list(Settings.model_fields), f"the configuration file {path}")
    return values


def _read_predecessor_names(warnings: list[str]) -> dict[str, tuple[object, str]]:
    found: dict[str, tuple[object, str]] = {}
    for old, field in _PREDECESSOR_NAMES.items():
        if value := os.environ.get(old):
            found[field] = (value, f"environment ({old})")
            overruled = " (which is set, and counts)" if os.environ.get(environment_name(field)) else ""
            warnings.append(f"{old} is the predecessor's name; use {environment_name(field)}{overruled}")
    return found


def _refuse_unknown(names: Iterable[str], known: list[str], where: str) -> None:
    problems = []
    for name in names:
        if name not in known and name.upper() not in known:
            nearest = get_close_matches(name.upper() if name.isupper() else name, known, n=1, cutoff=0)
            problems.append(f"{where} sets {name}, which is not known; the nearest known name is {nearest[0]}")
    if problems:
        raise ConfigurationError("\n".join(problems))


def _build(found: Mapping[str, tuple[Any, str]]) -> Settings:
    try:
        return Settings(**{name: value for name, (value, _) in found.items()})
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            field = str(problem["loc"][0])
            origin = found[field][1]
            lines.append(f"{environment_name(field)} ({origin}): {problem['msg'].removeprefix('Value error, ')}")
        raise ConfigurationError("\n".join(lines)) from None


def _show(value: object) -> str:
    if isinstance(value, SecretStr):
        return "***"
    if value is None:
        return ""
    if isinstance(value, Retention):
        days = f"{value.max_age.days} days" if value.max_age else ""
        size = f"{value.max_bytes} B" if value.max_bytes else ""
        return ", ".join(filter(None, (days, size, "dry run" if value.is_dry_run else "")))
    text = str(value)
    password = urlsplit(text).password if "://" in text else None
    return text.replace(f":{password}@", ":***@", 1) if password else text
