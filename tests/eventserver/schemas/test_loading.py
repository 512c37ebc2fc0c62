"""A file that is not sound is refused when it is loaded, with the reason in plain words."""

import json
import os
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from eventserver.schemas import SchemaError, SchemaVersion, Severity, check, source
from eventserver.schemas.loading import Loaded, load
from eventserver.schemas.source import read_directory
from support.schema_directory import SchemaDirectory, described

STRAY = [
    *("Sl_thing/1.json", "sl-thing/1.json", "1thing/1.json", f"{'a' * 101}/1.json", "sl_b/01.json", "sl_b/0.json"),
    *("sl_b/v1.json", "sl_b/2147483648.json", "stray.json", "sl_b/1.examples.json", "sl_b/c/1.json"),
]


def loaded(directory: SchemaDirectory) -> Loaded:
    """Load a directory."""
    return load(read_directory(directory.path))


def messages(directory: SchemaDirectory) -> str:
    """Return all findings of a directory that has no sound schema."""
    found = loaded(directory)
    assert not found.versions
    assert found.refused == {("sl_thing", 1)}
    assert {finding.severity for finding in found.findings} == {Severity.ERROR}
    return "\n".join(map(str, found.findings))


def test_a_sound_schema_is_loaded_with_its_examples(directory: SchemaDirectory) -> None:
    """It knows its name, its text and its fingerprint, and judges."""
    directory.write(properties={"name": described(type="string")})
    found = loaded(directory)
    version = found.versions["sl_thing", 1]
    assert isinstance(version, SchemaVersion)
    assert not found.findings
    assert version.schema["properties"]["name"]["type"] == "string"
    assert version.examples["valid"] == [{"name": "a"}]
    assert len(version.fingerprint) == 64
    assert version.is_valid({"name": "x", "unknown": 1})
    assert not version.is_valid({"name": 1})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"title": None}, "no title"),
        ({"examples": None}, "no examples"),
        ({"type": None}, 'no "type": "object"'),
        ({"type": ["object", "null"]}, 'no "type": "object"'),
        ({"$schema": None}, 'no "$schema"'),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, 'no "$schema"'),
        ({"properties": []}, "does not fit the metaschema"),
        ({"properties": {"a": {"type": "strin"}}}, "does not fit the metaschema"),
        ({"properties": {"a": {"type": "string"}}}, "at /properties/a: the property has no description"),
        ({"properties": {"a": True}}, "at /properties/a: the property has no description"),
        (
            {"properties": {"a": described(properties={"b/c": {}})}},
            "at /properties/a/properties/b~1c: the property has no description",
        ),
        ({"requierd": ["a"]}, "'requierd' is not known"),
        ({"unevaluatedProperties": False}, "'unevaluatedProperties' is not known"),
        ({"$id": "https://example.com/a.json"}, "'$id' is not known"),
        ({"properties": {"a": described(format="email")}}, "the format 'email' is not asserted"),
        ({"properties": {"a": described(pattern="(?=a)")}}, "look-around"),
        ({"patternProperties": {r"(a)\1": {}}}, "back-reference"),
        ({"properties": {"a": described(multipleOf=0.1)}}, "multipleOf is not a whole number"),
        ({"properties": {"a": described(maximum=10**400)}}, "beyond 9007199254740992"),
        ({"examples": [{"name": 7}], "properties": {"name": described(type="string")}}, "/examples/0 is not valid"),
    ],
)
def test_a_schema_that_is_not_sound_is_refused(directory: SchemaDirectory, schema: dict[str, Any], words: str) -> None:
    """Each rule, broken alone."""
    directory.write(**schema)
    assert words in messages(directory)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"type": "object", "type": "object"}', "duplicate key"),
        (b"\xef\xbb\xbf{}", "not strict JSON"),
        (b'{"maximum": NaN}', "not strict JSON"),
        (b'{"maximum": 1e999}', "too large to be computed with"),
        (b'{"examples": [[-1e999]]}', "too large to be computed with"),
        (b'{"title": "\xff"}', "not strict JSON"),
        (b'{"title": "\\ud800"}', "not strict JSON"),
        (b"{} {}", "not strict JSON"),
        (b"", "not strict JSON"),
        (b"[" * 1000, "not strict JSON"),
    ],
)
def test_a_schema_file_that_is_not_strict_json_is_refused(
    directory: SchemaDirectory, content: bytes, words: str
) -> None:
    """Duplicate keys, a byte order mark, infinities and the like."""
    directory.write().write_bytes(content)
    assert words in messages(directory)


def test_both_validators_must_agree_on_each_example(directory: SchemaDirectory) -> None:
    """An example that is not what it is said to be is an error in one of the two files."""
    directory.write(properties={"name": described(type="string")})
    directory.write_examples(valid=[{"name": 1}], invalid=[{"message": {"name": "a"}, "why": "it is short"}])
    found = messages(directory)
    for judge in ("jsonschema-rs", "jsonschema"):
        assert f"/valid/0 is not valid to {judge}" in found
        assert f"/invalid/0 is valid to {judge}, though it is said: it is short" in found


@pytest.mark.parametrize(
    "examples",
    [
        [],
        {},
        {"valid": [{}]},
        {"valid": [], "invalid": []},
        {"valid": [{}], "invalid": [{"message": []}]},
        {"valid": 1, "invalid": 1},
    ],
)
def test_examples_have_both_kinds_and_reasons(directory: SchemaDirectory, examples: Any) -> None:
    """Else they show nothing."""
    directory.write()
    (directory.path / "sl_thing/1.examples.json").write_text(json.dumps(examples))
    assert "sl_thing/1.examples.json" in messages(directory)


def test_a_schema_without_an_examples_file_is_refused(directory: SchemaDirectory) -> None:
    """Each schema shows what it means."""
    directory.write()
    (directory.path / "sl_thing/1.examples.json").unlink()
    assert "has no examples file" in messages(directory)


@pytest.mark.parametrize("name", STRAY)
def test_a_file_whose_name_means_nothing_is_an_error_and_hides_no_other(directory: SchemaDirectory, name: str) -> None:
    """A misspelt name would else be a schema that is silently not there."""
    directory.write()
    path = directory.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    found = loaded(directory)
    assert ("sl_thing", 1) in found.versions
    assert found.findings
    assert all(name.startswith(finding.subject) for finding in found.findings)


def test_files_that_are_no_json_and_hidden_files_are_passed_over(directory: SchemaDirectory) -> None:
    """Notes and what editors leave behind."""
    directory.write()
    for name in ("README.md", ".hidden.json", "sl_thing/1.json~", "sl_thing/.1.json.swp"):
        (directory.path / name).write_text("not a schema")
    assert not loaded(directory).findings


def test_a_reference_is_replaced_by_what_it_names(directory: SchemaDirectory) -> None:
    """In this file and in shared ones; a description beside it wins; a rule beside it holds too."""
    shared = directory.path / "_shared/texts.json"
    shared.parent.mkdir()
    shared.write_text(json.dumps({"$defs": {"a/b": {"type": "string", "description": "shared"}}}))
    directory.write(
        **{"$defs": {"short": {"$ref": "../_shared/texts.json#/$defs/a~1b", "maxLength": 3}}},
        properties={
            "name": {"$ref": "#/$defs/short", "description": "A short name."},
            "long": {"$ref": "../_shared/texts.json#/$defs/a~1b"},
        },
    )
    version = loaded(directory).versions["sl_thing", 1]
    assert "$ref" not in json.dumps(version.schema)
    assert version.schema["properties"]["long"] == {"type": "string", "description": "shared"}
    assert version.schema["properties"]["name"]["description"] == "A short name."
    assert [version.is_valid({"name": name}) for name in ("abc", "abcd", 7)] == [True, False, False]


def test_a_rule_beside_a_reference_does_not_replace_the_same_rule_behind_it(directory: SchemaDirectory) -> None:
    """Both hold, as JSON Schema has it."""
    name = described(**{"$ref": "#/$defs/short", "maxLength": 10})
    directory.write(**{"$defs": {"short": {"maxLength": 3}}}, properties={"name": name})
    version = loaded(directory).versions["sl_thing", 1]
    assert [version.is_valid({"name": "x" * length}) for length in (3, 4, 11)] == [True, False, False]


def test_files_that_are_swapped_while_they_are_read_are_read_again(
    directory: SchemaDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is judged is one moment's set, never the half of two."""
    directory.write("sl_a", title="old")
    directory.write("sl_b", title="old")
    read_file = source._Reader._read_file

    def swapping(reader: Any, path: Path, name: str) -> None:
        read_file(reader, path, name)
        if name == "sl_a/1.json":
            directory.write("sl_a", title="new")
            directory.write("sl_b", title="new")

    monkeypatch.setattr(source._Reader, "_read_file", swapping)
    assert {version.schema["title"] for version in loaded(directory).versions.values()} == {"new"}


def test_a_directory_that_never_comes_to_rest_is_given_up(
    directory: SchemaDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again at the next look."""
    titles = iter(range(100))
    read_once = source._read_once

    def changing(path: Path) -> source.Snapshot:
        directory.write(title=f"title {next(titles)}")
        return read_once(path)

    monkeypatch.setattr(source, "_read_once", changing)
    with pytest.raises(SchemaError, match="keeps changing"):
        read_directory(directory.path)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("https://example.com/schema.json", "nothing is fetched"),
        ("file:///etc/passwd", "nothing is fetched"),
        ("//example.com/schema.json", "nothing is fetched"),
        ("/etc/passwd", "nothing is fetched"),
        ("..%2f..%2fetc/passwd", "nothing is fetched"),
        ("../../outside.json", "leads out of the schemas directory"),
        ("../sl_thing/../../outside.json", "leads out of the schemas directory"),
        ("missing.json", "there is no file"),
        ("#/$defs/missing", "holds nothing there"),
        ("#anchor", "JSON Pointer"),
        ("#", "refers to itself"),
        ("#/properties/a", "refers to itself"),
        ("http://[", "not an address"),
        (7, "not text"),
    ],
)
def test_a_reference_that_leads_elsewhere_is_refused_and_nothing_is_fetched(
    directory: SchemaDirectory, monkeypatch: pytest.MonkeyPatch, reference: Any, words: str
) -> None:
    """Not even a name is looked up."""

    def refuse(*_arguments: Any, **_options: Any) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    (directory.path.parent / "outside.json").write_text('{"type": "string"}')
    directory.write(properties={"a": described(**{"$ref": reference})})
    assert words in messages(directory)


def test_references_that_multiply_are_refused(directory: SchemaDirectory) -> None:
    """2 to the power of 14 schemas from fifteen lines."""
    layers: dict[str, Any] = {"l0": {"type": "string"}}
    for layer in range(1, 15):
        layers[f"l{layer}"] = {"allOf": [{"$ref": f"#/$defs/l{layer - 1}"}, {"$ref": f"#/$defs/l{layer - 1}"}]}
    directory.write(**{"$defs": layers}, properties={"a": described(**{"$ref": "#/$defs/l14"})})
    assert "more than" in messages(directory)


def test_schemas_nested_without_end_are_refused(directory: SchemaDirectory) -> None:
    """Whatever walks a schema needs a stack."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        schema = {"allOf": [schema]}
    directory.write(allOf=[schema])
    assert "deep" in messages(directory)


def test_a_link_that_leads_outside_is_refused(directory: SchemaDirectory, tmp_path: Path) -> None:
    """A file or a folder; what lies outside is not read."""
    outside = SchemaDirectory(tmp_path / "outside")
    outside.write("sl_other", 1)
    directory.write()
    (directory.path / "sl_other").symlink_to(outside.path / "sl_other")
    (directory.path / "sl_thing/2.json").symlink_to(outside.path / "sl_other/1.json")
    found = loaded(directory)
    assert set(found.versions) == {("sl_thing", 1)}
    assert {finding.subject for finding in found.findings} >= {"sl_other", "sl_thing/2.json"}
    assert ("sl_thing", 2) in found.refused


def test_a_link_within_the_directory_is_followed(directory: SchemaDirectory) -> None:
    """As a ConfigMap has them."""
    hidden = SchemaDirectory(directory.path / "..2026_11_24")
    hidden.write("sl_linked", 1)
    (directory.path / "..data").symlink_to("..2026_11_24")
    (directory.path / "sl_linked").symlink_to("..data/sl_linked")
    assert set(loaded(directory).versions) == {("sl_linked", 1)}


@pytest.mark.parametrize("target", ["sl_broken", "nowhere"], ids=["in a circle", "nowhere"])
def test_a_link_that_leads_nowhere_hides_no_other_file(directory: SchemaDirectory, target: str) -> None:
    """It is said, and the rest is served."""
    directory.write()
    (directory.path / "sl_broken").symlink_to(target)
    found = loaded(directory)
    assert set(found.versions) == {("sl_thing", 1)}
    assert [finding.subject for finding in found.findings] == ["sl_broken"]


def test_what_is_no_regular_file_is_refused_unread(directory: SchemaDirectory) -> None:
    """A pipe would block for ever."""
    directory.write().unlink()
    os.mkfifo(directory.path / "sl_thing/1.json")
    assert "not a regular file" in messages(directory)


def test_a_file_that_is_too_large_is_refused(directory: SchemaDirectory) -> None:
    """A schema is written by people."""
    directory.write().write_bytes(b" " * ((1 << 20) + 1))
    assert "larger than" in messages(directory)


def test_a_directory_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    """With its name."""
    report = check(tmp_path / "nowhere")
    assert not report.sound
    assert str(tmp_path / "nowhere") in str(report.findings[0])
