"""Settings: which value counts, where it came from, and what is refused."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from backends.bundles.retention import Retention
from eventserver.config import ConfigurationError, Settings, load_settings, parse_bytes


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin each test with an environment that says nothing about the server."""
    for name in os.environ:
        if name.startswith("SMRTFLOW_") or name in {"PB_SERVICES_PORT", "EVE_ROOT_DIR"}:
            monkeypatch.delenv(name)
    return iter(())


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """Config file."""
    path = tmp_path / "eventserver.toml"
    path.write_text('server_port = 7000\nevent_max_event_bytes = "2 MiB"\n')
    return path


def origins(settings: Settings) -> dict[str, tuple[str, str]]:
    """Origins."""
    return {name: (value, origin) for name, value, origin in settings.describe()}


def test_without_any_setting_the_defaults_of_the_design_hold() -> None:
    """Without any setting the defaults of the design hold."""
    settings = load_settings()
    assert (settings.server_host, settings.server_port) == ("0.0.0.0", 8070)
    assert (settings.event_root_dir, settings.event_store) == (Path("events"), "file:")
    assert settings.event_max_event_bytes == 1024 * 1024
    assert (settings.event_schema_dir / "sl_test_event" / "1.json").is_file()
    assert not settings.warnings


def test_command_line_comes_before_environment_before_file_before_default(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command line comes before environment before file before default."""
    monkeypatch.setenv("SMRTFLOW_SERVER_PORT", "7001")
    monkeypatch.setenv("SMRTFLOW_SERVER_HOST", "::1")
    settings = load_settings(config_file, {"server_host": "127.0.0.1", "event_root_dir": None})
    found = origins(settings)
    assert found["SMRTFLOW_SERVER_HOST"] == ("127.0.0.1", "command line")
    assert found["SMRTFLOW_SERVER_PORT"] == ("7001", "environment")
    assert found["SMRTFLOW_EVENT_MAX_EVENT_BYTES"] == ("2097152", f"file {config_file}")
    assert found["SMRTFLOW_EVENT_ROOT_DIR"] == ("events", "default")


def test_what_is_kept_of_bundles_is_said_in_words(monkeypatch: pytest.MonkeyPatch, config_file: Path) -> None:
    """By the environment, as by a file."""
    expected = Retention(timedelta(days=90), 100 * 1024**3, is_dry_run=True)
    config_file.write_text('event_bundle_retention = "90 days, 100 GiB, dry run"\n')
    assert load_settings(config_file).event_bundle_retention == expected
    monkeypatch.setenv("SMRTFLOW_EVENT_BUNDLE_RETENTION", "90 days, 100 GiB, dry run")
    assert load_settings().event_bundle_retention == expected
    said = dict(origins(load_settings()).items())["SMRTFLOW_EVENT_BUNDLE_RETENTION"][0]
    monkeypatch.setenv("SMRTFLOW_EVENT_BUNDLE_RETENTION", said)
    assert load_settings().event_bundle_retention == expected
    monkeypatch.setenv("SMRTFLOW_EVENT_BUNDLE_RETENTION", "for ever")
    with pytest.raises(ConfigurationError, match="90 days"):
        load_settings()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as not set."""
    monkeypatch.setenv("SMRTFLOW_SERVER_PORT", "")
    monkeypatch.setenv("PB_SERVICES_PORT", "")
    settings = load_settings()
    assert settings.server_port == 8070
    assert not settings.warnings


def test_the_predecessors_names_work_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The predecessors names work with a warning."""
    monkeypatch.setenv("PB_SERVICES_PORT", "9000")
    monkeypatch.setenv("EVE_ROOT_DIR", "/data/events")
    settings = load_settings()
    assert (settings.server_port, settings.event_root_dir) == (9000, Path("/data/events"))
    assert origins(settings)["SMRTFLOW_SERVER_PORT"] == ("9000", "environment (PB_SERVICES_PORT)")
    assert [warning.split()[0] for warning in settings.warnings] == ["PB_SERVICES_PORT", "EVE_ROOT_DIR"]


def test_the_predecessors_names_stand_below_the_new_ones_and_above_the_file(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The predecessors names stand below the new ones and above the file."""
    monkeypatch.setenv("PB_SERVICES_PORT", "9000")
    assert load_settings(config_file).server_port == 9000
    monkeypatch.setenv("SMRTFLOW_SERVER_PORT", "9001")
    settings = load_settings(config_file)
    assert settings.server_port == 9001
    assert "which is set, and counts" in settings.warnings[0]


def test_an_unknown_name_is_refused_and_the_nearest_one_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is refused and the nearest one told."""
    monkeypatch.setenv("SMRTFLOW_EVENT_ROOTDIR", "/data")
    with pytest.raises(ConfigurationError, match=r"SMRTFLOW_EVENT_ROOTDIR.*SMRTFLOW_EVENT_ROOT_DIR"):
        load_settings()


def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    """An unknown key of the file is refused."""
    path = tmp_path / "wrong.toml"
    path.write_text("server_prot = 1")
    with pytest.raises(ConfigurationError, match=r"server_prot.*server_port"):
        load_settings(path)


@pytest.mark.parametrize("text", ["server_port = ", "\x80", "server_port = 1\nserver_port = 2"])
def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path: Path, text: str) -> None:
    """A file that is no toml is refused by name."""
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"broken\.toml"):
        load_settings(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """A missing file is refused by name."""
    with pytest.raises(ConfigurationError, match="not there"):
        load_settings(tmp_path / "not there")


def test_all_wrong_values_are_told_at_once_with_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """All wrong values are told at once with where they stand."""
    monkeypatch.setenv("SMRTFLOW_SERVER_PORT", "99999")
    monkeypatch.setenv("SMRTFLOW_EVENT_MAX_BATCH_BYTES", "16 parsecs")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    first, second = str(refused.value).splitlines()
    assert first.startswith("SMRTFLOW_SERVER_PORT (environment): ")
    assert second == (
        "SMRTFLOW_EVENT_MAX_BATCH_BYTES (environment): it should be a number of bytes, such as 1048576 or 1 MiB"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1048576", 1048576), ("1MiB", 2**20), (" 1.5 GB ", 1_500_000_000), ("10 kib", 10240), ("7 B", 7), (5, 5)],
)
def test_sizes_are_read_as_people_write_them(text: object, expected: int) -> None:
    """Sizes are read as people write them."""
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "MiB", "1 MiB extra", "-1", "1e6", "1,5 MB", "0x10", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """What is no size is refused."""
    with pytest.raises(ValidationError):
        Settings(event_max_event_bytes=text)


def test_secrets_and_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets and passwords are not shown."""
    monkeypatch.setenv("SMRTFLOW_EVENT_ADMIN_TOKEN", "hunter2")
    monkeypatch.setenv("SMRTFLOW_EVENT_STORE", "elasticsearch://me:hunter2@host:9200/prefix")
    settings = load_settings()
    assert "hunter2" not in repr(settings.describe())
    found = origins(settings)
    assert found["SMRTFLOW_EVENT_ADMIN_TOKEN"] == ("***", "environment")
    assert found["SMRTFLOW_EVENT_STORE"][0] == "elasticsearch://me:***@host:9200/prefix"
    assert settings.event_admin_token is not None
    assert settings.event_admin_token.get_secret_value() == "hunter2"


def test_the_shared_secret_is_known_but_said_not_to_be_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared secret is known but said not to be enforced."""
    monkeypatch.setenv("SMRTFLOW_EVENT_API_SECRET", "hunter2")
    [warning] = load_settings().warnings
    assert "not enforced" in warning
    assert "hunter2" not in warning


def test_settings_cannot_be_changed_and_read_nothing_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings cannot be changed and read nothing by themselves."""
    monkeypatch.setenv("SMRTFLOW_SERVER_PORT", "7001")
    settings = Settings()
    assert settings.server_port == 8070
    with pytest.raises(ValidationError):
        settings.server_port = 1


def test_every_setting_is_described_in_the_reference() -> None:
    """Every setting is described in the reference."""
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "configuration.md").read_text()
    for name, _, _ in Settings().describe():
        assert f"`{name}`" in reference
