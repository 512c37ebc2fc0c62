"""``eventserver schemas check`` says in plain words what a server would make of a directory."""

import re
from pathlib import Path

import pytest

from eventserver.schemas import Report, SchemaRegistry, Severity, check
from support.schema_directory import SchemaDirectory, described

TEXT = {"name": described(type="string")}
TEXT_OR_NULL = {"name": described(type=["string", "null"])}
FEW = {"name": described(enum=["a", "b"])}


def lines(report: Report) -> list[str]:
    """Return the findings as a terminal shows them."""
    return [str(finding) for finding in report.findings]


def test_each_sound_file_is_named(directory: SchemaDirectory) -> None:
    """With the ground for the verdict."""
    directory.write(properties=TEXT)
    assert lines(check(directory.path)) == [
        "note: sl_thing/1.json: is sound; both validators agree on 1 valid and 1 invalid examples"
    ]


def test_a_wider_next_version_is_called_compatible(directory: SchemaDirectory) -> None:
    """It takes all that the one before takes."""
    directory.write(version=1, properties=TEXT)
    directory.write(version=2, properties=TEXT_OR_NULL)
    message = "note: sl_thing/2.json: is compatible with version 1: it takes all that version 1 takes"
    assert lines(check(directory.path))[-1] == message


def test_a_narrower_next_version_is_no_error_but_is_said(directory: SchemaDirectory) -> None:
    """Narrowing is what versions are for. Versions are compared in their numbers' order, gaps or not."""
    for version, properties in ((1, TEXT_OR_NULL), (9, TEXT), (10, FEW)):
        directory.write(version=version, properties=properties)
    report = check(directory.path)
    rightly = "and rightly a version of its own"
    text = "at /name: it must be text now, and could be text or null before"
    few = 'at /name: it must be one of "a", "b" now, which was not demanded before'
    assert report.sound
    assert lines(report)[-2:] == [
        f"note: sl_thing/9.json: is not compatible with version 1, {rightly}: {text}",
        f"note: sl_thing/10.json: is not compatible with version 9, {rightly}: {few}",
    ]


def test_types_are_not_compared_with_each_other(directory: SchemaDirectory) -> None:
    """Only versions of one type are."""
    directory.write("sl_a", properties=TEXT)
    directory.write("sl_b", properties=FEW)
    assert not any("compatible" in line for line in lines(check(directory.path)))


@pytest.mark.parametrize("place", [".", "schemas", "source"], ids=["root", "kept texts", "another directory"])
def test_against_what_is_in_force(directory: SchemaDirectory, tmp_path: Path, place: str) -> None:
    """New, the same, wider, narrower and gone are told apart; only narrower is an error."""
    for name in ("sl_gone", "sl_narrower", "sl_same", "sl_wider"):
        directory.write(name, properties=TEXT)
    root = tmp_path / "root"
    SchemaRegistry(directory.path, kept=root / "schemas").load()
    changed = SchemaDirectory(tmp_path / "changed")
    changed.write("sl_same", properties=TEXT)
    changed.write("sl_new", properties=TEXT)
    changed.write("sl_wider", properties=TEXT_OR_NULL)
    changed.write("sl_narrower", properties=FEW)
    report = check(changed.path, against=directory.path if place == "source" else root / place)
    few = 'at /name: it must be one of "a", "b" now, which was not demanded before'
    instead = "Put this text into a new version instead"
    said = [line for line in lines(report) if "is sound" not in line]
    assert said == [
        "note: sl_new/1.json: is new",
        "note: sl_same/1.json: is the same as revision 1 that is in force",
        "warning: sl_gone/1.json: is not in the directory any more; revision 1, which was in force before, is served",
        f"error: sl_narrower/1.json: would narrow a published version (revision 1 stays in force): {few}. {instead}",
        "note: sl_wider/1.json: takes all that revision 1 took; it is revision 2 now",
    ]
    assert not report.sound


def test_a_bad_file_is_an_error_among_sound_ones(directory: SchemaDirectory) -> None:
    """Both are said."""
    directory.write("sl_bad").write_text("{")
    directory.write("sl_good")
    report = check(directory.path)
    assert [finding.severity for finding in report.findings] == [Severity.NOTE, Severity.ERROR]


@pytest.mark.parametrize("make", [False, True], ids=["missing", "empty"])
def test_nothing_to_compare_with_is_an_error(directory: SchemaDirectory, tmp_path: Path, *, make: bool) -> None:
    """A misspelt path must not look like a clean bill."""
    directory.write()
    if make:
        (tmp_path / "other").mkdir()
    assert not check(directory.path, against=tmp_path / "other").sound


def test_checking_writes_nothing(directory: SchemaDirectory, tmp_path: Path) -> None:
    """It may be run against a running server."""
    directory.write(properties=TEXT)
    SchemaRegistry(directory.path, kept=tmp_path / "root/schemas").load()
    directory.write(properties=TEXT_OR_NULL)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    check(directory.path, against=tmp_path / "root")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_schema_of_the_how_to_is_sound(tmp_path: Path) -> None:
    """Who follows the guide gets no error."""
    guide = Path(__file__).parents[3] / "docs/how-to/write-a-schema.md"
    files = re.findall(r"`schemas/(sl_run_finished/[\w.]+)`\n\n```json\n(.*?)```", guide.read_text(), re.DOTALL)
    (tmp_path / "sl_run_finished").mkdir()
    for name, content in files:
        (tmp_path / name).write_text(content)
    assert lines(check(tmp_path)) == [
        "note: sl_run_finished/1.json: is sound; both validators agree on 1 valid and 1 invalid examples"
    ]
