"""``eventserver schemas check``: the verdict of the registry, in plain words and as an exit code."""

import json
import shutil
from pathlib import Path

import pytest

from eventserver.config import packaged_schemas
from tests.support.command_line import Run


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A copy of the schemas of this release."""
    return Path(shutil.copytree(packaged_schemas(), tmp_path / "schemas"))


def change(file: Path, **keywords: object) -> None:
    """Change keywords of a schema; None removes one."""
    schema = json.loads(file.read_text()) | keywords
    file.write_text(json.dumps({name: value for name, value in schema.items() if value is not None}))


def test_the_schemas_of_this_release_are_sound(run: Run) -> None:
    """By default they are what is checked."""
    result = run("schemas", "check")
    assert result.exit_code == 0
    assert "eula_signed/1.json: is sound" in result.stdout


def test_the_verdict_on_the_next_version_is_in_plain_words(run: Run) -> None:
    """Which says what is narrower, and where."""
    lines = run("schemas", "check").stdout.splitlines()
    (verdict,) = [line for line in lines if "smrtlink_job_change_state/2.json: is not compatible" in line]
    assert "at /state: it must be one of" in verdict


def test_a_schema_that_cannot_be_used_fails(run: Run, schemas: Path) -> None:
    """Exit code 1, and the file is named on standard error."""
    (schemas / "sl_test_event" / "1.json").write_text("{")
    result = run("schemas", "check", schemas)
    assert result.exit_code == 1
    assert "error: sl_test_event/1.json" in result.stderr
    assert "Error: a server would not take these schemas" in result.stderr


def test_a_published_version_may_widen(run: Run, schemas: Path) -> None:
    """Against the release, a property that need not be there any more is fine."""
    change(schemas / "eula_signed" / "1.json", required=["user"])
    examples = schemas / "eula_signed" / "1.examples.json"
    examples.write_text(json.dumps(json.loads(examples.read_text()) | {"invalid": [{"message": {}, "why": "no user"}]}))
    result = run("schemas", "check", schemas, "--against", packaged_schemas())
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_published_version_may_not_narrow(run: Run, schemas: Path) -> None:
    """Against the release, a property that must be there now is an error."""
    change(schemas / "sl_test_event" / "1.json", required=["color"])
    result = run("schemas", "check", schemas, "--against", packaged_schemas())
    assert result.exit_code == 1
    assert "sl_test_event/1.json" in result.stderr


def test_a_directory_that_is_not_there_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    """Exit code 2."""
    assert run("schemas", "check", tmp_path / "missing").exit_code == 2
