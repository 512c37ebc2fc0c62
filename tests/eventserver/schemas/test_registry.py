"""What is in force follows the directory, and never narrows."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eventserver.schemas import Finding, Report, SchemaError, SchemaRegistry, Severity
from eventserver.schemas.kept import KeptSchemas
from support.fake_disk import FakeDisk
from support.schema_directory import SchemaDirectory, described

KEY = ("sl_thing", 1)
TEXT = {"name": described(type="string")}
TEXT_OR_NULL = {"name": described(type=["string", "null"])}
NUMBER = {"name": described(type="number")}
NARROW_EXAMPLES: dict[str, Any] = {"examples": [{"name": 1}]}

KEPT = Path("/data/schemas")
"""On a disk that is not real."""

Start = Callable[[], SchemaRegistry]


@pytest.fixture
def start(directory: SchemaDirectory, tmp_path: Path) -> Start:
    """Return a function that makes a registry, as each start of a server does."""
    return lambda: SchemaRegistry(directory.path, kept=tmp_path / "root/schemas")


def write_number(directory: SchemaDirectory) -> None:
    """Write a text that narrows: a number where text was."""
    directory.write(properties=NUMBER, **NARROW_EXAMPLES)
    directory.write_examples(valid=[{"name": 1}])


def takes(registry: SchemaRegistry, name: Any) -> bool:
    """Tell whether a message is valid now."""
    return registry.validators[KEY]({"name": name})


def said(report: Report, severity: Severity) -> str:
    """Return what a report says with this severity."""
    return "\n".join(str(finding) for finding in report.findings if finding.severity is severity)


def test_a_first_start_serves_the_directory_as_revision_1(directory: SchemaDirectory, start: Start) -> None:
    """And has nothing to say."""
    directory.write(properties=TEXT)
    registry = start()
    assert registry.load() == Report((), adopted=True)
    assert registry.versions[KEY].revision == 1
    assert registry.schemas[KEY]["properties"] == TEXT
    assert registry.examples[KEY]["valid"] == [{"name": "a"}]
    assert (takes(registry, "x"), takes(registry, 1)) == (True, False)


def test_the_text_in_force_is_kept(directory: SchemaDirectory, start: Start, tmp_path: Path) -> None:
    """Under the root with its fingerprint, one file a revision, no more and no less."""
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    files = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert [path.relative_to(tmp_path / "root").as_posix() for path in files] == ["schemas/sl_thing/1.1.json"]
    assert json.loads(files[0].read_text()) == {
        "eventTypeId": "sl_thing",
        "version": 1,
        "revision": 1,
        "fingerprint": registry.versions[KEY].fingerprint,
        "schema": registry.schemas[KEY],
    }


def test_a_text_is_durable_before_it_takes_force(directory: SchemaDirectory) -> None:
    """A power cut right after the start loses no text."""
    directory.write(properties=TEXT)
    for seed in range(20):
        disk = FakeDisk(seed)
        SchemaRegistry(directory.path, kept=KEPT, disk=disk).load()
        disk.cut_power()
        after = disk.after_power_cut(Random(seed))
        assert set(KeptSchemas(KEPT, disk=after).read().versions) == {KEY}


def test_a_widening_takes_force_as_the_next_revision(directory: SchemaDirectory, start: Start) -> None:
    """By a reload, and it is known after a restart."""
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    directory.write(properties=TEXT_OR_NULL)
    report = registry.reload()
    assert report.adopted
    assert "it is revision 2 now" in said(report, Severity.NOTE)
    assert takes(registry, None)
    again = start()
    again.load()
    assert again.versions[KEY].revision == 2


def test_a_widening_takes_force_by_a_restart_too(directory: SchemaDirectory, start: Start) -> None:
    """So can a schema that was too tight be mended while the server is down."""
    directory.write(properties=TEXT)
    start().load()
    directory.write(properties=TEXT_OR_NULL)
    registry = start()
    registry.load()
    assert (registry.versions[KEY].revision, takes(registry, None)) == (2, True)


def test_a_narrowing_is_refused_by_a_reload(directory: SchemaDirectory, start: Start) -> None:
    """The set in force stays, all of it, and the reason is said."""
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    write_number(directory)
    directory.write("sl_new")
    report = registry.reload()
    assert not report.adopted
    assert "would narrow a published version" in said(report, Severity.ERROR)
    assert "at /name: it must be a number now, and could be text before" in said(report, Severity.ERROR)
    assert takes(registry, "x")
    assert set(registry.validators) == {KEY}


def test_a_narrowing_is_not_served_after_a_restart(directory: SchemaDirectory, start: Start) -> None:
    """The kept text is, and that is said."""
    directory.write(properties=TEXT)
    start().load()
    write_number(directory)
    directory.write("sl_new")
    registry = start()
    report = registry.load()
    assert "revision 1 stays in force" in said(report, Severity.ERROR)
    assert takes(registry, "x")
    assert ("sl_new", 1) in registry.validators


def test_going_back_to_an_older_revision_is_a_narrowing(directory: SchemaDirectory, start: Start) -> None:
    """Events that came in between would be refused the next time."""
    directory.write(properties=TEXT)
    start().load()
    directory.write(properties=TEXT_OR_NULL)
    start().load()
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    assert takes(registry, None)


@pytest.mark.parametrize("restart", [False, True], ids=["reload", "restart"])
def test_a_version_that_is_gone_is_served_as_it_was(directory: SchemaDirectory, start: Start, *, restart: bool) -> None:
    """Installed systems still send it."""
    directory.write(properties=TEXT)
    directory.write("sl_other")
    registry = start()
    registry.load()
    for name in ("1.json", "1.examples.json"):
        (directory.path / "sl_thing" / name).unlink()
    if restart:
        registry = start()
    report = registry.load() if restart else registry.reload()
    assert report.adopted
    assert "is not in the directory any more" in said(report, Severity.WARNING)
    assert (takes(registry, "x"), takes(registry, 1)) == (True, False)


def test_a_bad_file_leaves_the_set_in_force_and_says_why(directory: SchemaDirectory, start: Start) -> None:
    """None of the other changes takes force either, nor is it said to."""
    directory.write(properties=TEXT)
    directory.write("sl_wider", properties=TEXT)
    registry = start()
    registry.load()
    before = (registry.validators, registry.versions)
    directory.write("sl_wider", properties=TEXT_OR_NULL)
    directory.write("sl_new")
    directory.write(requierd=["name"])
    report = registry.reload()
    assert not report.adopted
    assert {finding.subject for finding in report.findings} == {"sl_thing/1.json"}
    assert "'requierd' is not known" in said(report, Severity.ERROR)
    assert (registry.validators, registry.versions) == before


def test_a_start_with_a_bad_file_serves_all_that_can_be_served(directory: SchemaDirectory, start: Start) -> None:
    """The kept text for the bad file; senders do not come back because a file has a comma too many."""
    directory.write(properties=TEXT)
    start().load()
    directory.write().write_text("{")
    directory.write("sl_new")
    directory.write("sl_bad").write_text("{")
    registry = start()
    report = registry.load()
    assert set(registry.validators) == {KEY, ("sl_new", 1)}
    assert takes(registry, "x")
    assert "not strict JSON" in said(report, Severity.ERROR)
    assert "sl_thing/1.json: revision 1, which was in force before, is served instead" in said(report, Severity.WARNING)
    assert "sl_bad/1.json: no earlier text" in said(report, Severity.WARNING)


def test_a_start_without_the_directory_serves_what_was_kept(directory: SchemaDirectory, start: Start) -> None:
    """A mount that did not come up costs no event."""
    directory.write(properties=TEXT)
    start().load()
    directory.path.rename(directory.path.with_name("elsewhere"))
    registry = start()
    report = registry.load()
    assert takes(registry, "x")
    assert not report.sound


@pytest.mark.parametrize("content", [None, "{"], ids=["empty", "bad"])
def test_a_start_that_can_serve_nothing_fails(directory: SchemaDirectory, start: Start, content: str | None) -> None:
    """With the reasons."""
    if content is not None:
        directory.write().write_text(content)
    with pytest.raises(SchemaError, match="no schema that can be served"):
        start().load()


def damage(path: Path) -> None:
    """Flip the schema in a kept file, leaving its fingerprint."""
    path.write_text(path.read_text().replace('"string"', '"number"'))


def test_a_damaged_kept_text_is_not_believed(directory: SchemaDirectory, start: Start, tmp_path: Path) -> None:
    """It is reported, passed over, left for an operator to see, and its number is not given again."""
    directory.write(properties=TEXT)
    start().load()
    damaged = tmp_path / "root/schemas/sl_thing/1.1.json"
    damage(damaged)
    content = damaged.read_bytes()
    registry = start()
    report = registry.load()
    assert "does not match its fingerprint" in said(report, Severity.WARNING)
    assert (registry.versions[KEY].revision, takes(registry, "x")) == (2, True)
    assert damaged.read_bytes() == content


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', "null"])
def test_a_kept_file_of_any_content_does_not_keep_the_server_from_starting(
    directory: SchemaDirectory, start: Start, tmp_path: Path, content: str
) -> None:
    """It is reported."""
    directory.write(properties=TEXT)
    start().load()
    (tmp_path / "root/schemas/sl_thing/1.1.json").write_text(content)
    report = start().load()
    assert "can't be used" in said(report, Severity.WARNING)


def test_a_full_disk_does_not_keep_a_schema_from_being_served(directory: SchemaDirectory) -> None:
    """It is served, with a warning, and kept as soon as there is room."""
    directory.write(properties=TEXT)
    disk = FakeDisk()
    disk.fail(times=None, error=28)
    registry = SchemaRegistry(directory.path, kept=KEPT, disk=disk)
    report = registry.load()
    assert report.adopted
    assert "could not be kept: No space left on device" in said(report, Severity.WARNING)
    assert takes(registry, "x")
    disk.mend()
    assert registry.reload() == Report((), adopted=True)
    assert set(KeptSchemas(KEPT, disk=disk).read().versions) == {KEY}


def test_without_a_place_to_keep_texts_a_reload_still_never_narrows(directory: SchemaDirectory) -> None:
    """In memory."""
    directory.write(properties=TEXT)
    registry = SchemaRegistry(directory.path)
    registry.load()
    write_number(directory)
    assert not registry.reload().adopted
    directory.write(properties=TEXT_OR_NULL)
    assert registry.reload().adopted
    assert registry.versions[KEY].revision == 2


def test_a_change_of_examples_alone_is_no_new_revision(directory: SchemaDirectory, start: Start) -> None:
    """They show what is valid; they do not say it."""
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    directory.write_examples(valid=[{"name": "b"}])
    assert registry.reload().adopted
    assert registry.versions[KEY].revision == 1
    assert registry.examples[KEY]["valid"] == [{"name": "b"}]


def test_whoever_holds_the_old_set_keeps_it_whole(directory: SchemaDirectory, start: Start) -> None:
    """A batch that is being judged is judged by one set."""
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    held = registry.validators
    directory.write("sl_new")
    registry.reload()
    assert set(held) == {KEY}
    assert set(registry.validators) == {KEY, ("sl_new", 1)}


def test_a_candidate_takes_force_only_when_it_is_adopted(directory: SchemaDirectory, start: Start) -> None:
    """Between the two the store is made ready for it."""
    directory.write(properties=TEXT)
    registry = start()
    registry.load()
    directory.write("sl_new")
    candidate = registry.read()
    assert set(candidate.schemas) == {KEY, ("sl_new", 1)}
    assert set(registry.schemas) == {KEY}
    registry.adopt(candidate)
    assert set(registry.schemas) == {KEY, ("sl_new", 1)}


def test_findings_read_as_one_line() -> None:
    """For the terminal."""
    assert str(Finding(Severity.NOTE, "sl_a/1.json", "is sound")) == "note: sl_a/1.json: is sound"
