"""deploy/kibana/smrtlink-events.ndjson: what it shows is indexed, the way it is used."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from backends.elasticsearch.mapping import make_mappings
from eventserver.config import packaged_schemas
from eventserver.schemas import SchemaRegistry

FILE: Final = Path(__file__).parents[3] / "deploy/kibana/smrtlink-events.ndjson"
OBJECTS: Final = [json.loads(line) for line in FILE.read_text().splitlines()]
VIEWS: Final = {each["id"]: each["attributes"] for each in OBJECTS if each["type"] == "index-pattern"}
(DASHBOARD,) = (each for each in OBJECTS if each["type"] == "dashboard")
PREFIX: Final = "smrtlink-events"
RECORDS: Final = "___records___"
USABLE: Final = {
    "terms": {"keyword", "long", "boolean"},
    "unique_count": {"keyword"},
    "date_histogram": {"date"},
    "max": {"date", "long"},
}
"""Which fields a panel's operation can be made of."""


class Panel(NamedTuple):
    """A panel of the dashboard."""

    index: str
    title: str
    attributes: dict[str, Any]

    @property
    def layers(self) -> dict[str, Any]:
        """What is computed."""
        found: dict[str, Any] = self.attributes["state"]["datasourceStates"]["formBased"]["layers"]
        return found

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of all layers."""
        return [column for layer in self.layers.values() for column in layer["columns"].values()]

    @property
    def queries(self) -> list[str]:
        """What narrows the panel or one of its columns, in Kibana's language."""
        narrowing = [self.attributes["state"]["query"], *(each["filter"] for each in self.columns if "filter" in each)]
        return [each["query"] for each in narrowing if each["query"]]


PANELS: Final = [
    Panel(each["panelIndex"], each["title"], each["embeddableConfig"]["attributes"])
    for each in json.loads(DASHBOARD["attributes"]["panelsJSON"])
]


@pytest.fixture(scope="module")
def mappings() -> dict[str, dict[str, Any]]:
    """The mappings of each index, by the name that it is written to."""
    registry = SchemaRegistry(packaged_schemas())
    registry.load()
    return {f"{PREFIX}-{kind}-{version}": make_mappings(schema) for (kind, version), schema in registry.schemas.items()}


def fields(properties: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Run through the fields with their types, sub-fields too."""
    for name, field in properties.items():
        yield path + name, field["type"]
        yield from fields(field.get("fields", {}), f"{path}{name}.")
        yield from fields(field.get("properties", {}), f"{path}{name}.")


def types_in(mappings: dict[str, dict[str, Any]], view: str, field: str) -> list[str | None]:
    """Return the type of a field in each index of a data view; None where it is not indexed."""
    title = VIEWS[view]["title"]
    indices = [name for name in mappings if title == PREFIX or fnmatch(name, title)]
    assert indices, f"there is no index {title}"
    return [dict(fields(mappings[name]["properties"])).get(field) for name in indices]


def views_of(panel: Panel) -> set[str]:
    """Return the data views of a panel."""
    return {reference["id"] for reference in panel.attributes["references"]}


def test_the_file_is_what_kibana_imports() -> None:
    """One object a line, data views ahead of the dashboard, every reference to one of them."""
    assert [each["type"] for each in OBJECTS] == ["index-pattern"] * len(VIEWS) + ["dashboard"]
    assert len(VIEWS) == len(OBJECTS) - 1
    assert all(each["typeMigrationVersion"] and each["attributes"]["title"] for each in OBJECTS)
    wanted = {
        f"{panel.index}:{each['name']}": each["id"] for panel in PANELS for each in panel.attributes["references"]
    }
    assert {each["name"]: each["id"] for each in DASHBOARD["references"]} == wanted
    assert set(wanted.values()) == VIEWS.keys()


DASHBOARD_KEYS: Final = {
    "title": str,
    "description": str,
    "version": int,
    "timeRestore": bool,
    "timeFrom": str,
    "timeTo": str,
    "refreshInterval": dict,
    "optionsJSON": str,
    "panelsJSON": str,
    "kibanaSavedObjectMeta": dict,
}
"""What a dashboard of model version 2 (``typeMigrationVersion`` 10.2.0) may have, as far as it is used here."""


def test_the_dashboard_has_what_its_version_of_the_format_has() -> None:
    """No other keys, and JSON texts where Kibana wants texts; it brings older versions up to its own on import."""
    assert (DASHBOARD["coreMigrationVersion"], DASHBOARD["typeMigrationVersion"]) == ("8.8.0", "10.2.0")
    attributes = DASHBOARD["attributes"]
    assert {key: type(value) for key, value in attributes.items()} == DASHBOARD_KEYS
    assert attributes["refreshInterval"].keys() <= {"pause", "value", "display", "section"}
    assert attributes["kibanaSavedObjectMeta"].keys() == {"searchSourceJSON"}
    for text in (attributes["optionsJSON"], attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]):
        assert isinstance(json.loads(text), dict)


def test_each_panel_is_a_lens_of_its_own() -> None:
    """Kept in the dashboard: with its references, and its place under the name that it is referred to by."""
    for each in json.loads(DASHBOARD["attributes"]["panelsJSON"]):
        assert each["type"] == each["embeddableConfig"]["attributes"]["type"] == "lens"
        assert each["gridData"]["i"] == each["panelIndex"]
        assert each["embeddableConfig"]["attributes"]["references"]
    assert len({panel.index for panel in PANELS}) == len(PANELS)


def test_a_data_view_is_of_a_version_that_kibana_brings_up_to_its_own() -> None:
    """Its attributes are texts and a boolean; those that are JSON can be read."""
    for each in OBJECTS[: len(VIEWS)]:
        assert (each["coreMigrationVersion"], each["typeMigrationVersion"]) == ("8.8.0", "8.0.0")
        assert each["references"] == []
        for key, value in each["attributes"].items():
            assert isinstance(value, bool if key == "allowNoIndex" else str), key
        for key in ("fields", "fieldAttrs", "fieldFormatMap", "runtimeFieldMap", "sourceFilters", "typeMeta"):
            json.loads(each["attributes"][key])


def test_every_data_view_has_indices_and_their_time(mappings: dict[str, dict[str, Any]]) -> None:
    """The time of all is that of the event, in UTC."""
    for view, attributes in VIEWS.items():
        assert attributes["timeFieldName"] == "@at.date"
        assert set(types_in(mappings, view, "@at.date")) == {"date"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_is_made_of_fields_that_are_indexed(panel: Panel, mappings: dict[str, dict[str, Any]]) -> None:
    """In every index of its data view, with a type that its operation takes."""
    (view,) = views_of(panel)
    for column in panel.columns:
        if column["operationType"] == "count":
            assert column["sourceField"] == RECORDS
            continue
        found = set(types_in(mappings, view, column["sourceField"]))
        assert found <= USABLE[column["operationType"]], (column["sourceField"], found)
    for field in (match for query in panel.queries for match in re.findall(r"([@\w.]+) *:", query)):
        assert set(types_in(mappings, view, field)) == {"keyword"}, field


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_refers_to_its_own_columns(panel: Panel) -> None:
    """What it draws, and what it sorts by, is computed."""
    ((layer_id, layer),) = panel.layers.items()
    assert panel.attributes["references"][0]["name"] == f"indexpattern-datasource-layer-{layer_id}"
    assert layer["columnOrder"] == list(layer["columns"])
    sorted_by = [each["params"]["orderBy"]["columnId"] for each in panel.columns if each["operationType"] == "terms"]
    drawn = set(re.findall(r'"(?:xAccessor|splitAccessor|columnId)":"(\w+)"', compact(panel)))
    accessors = {
        each for layer in panel.attributes["state"]["visualization"].get("layers", ()) for each in layer["accessors"]
    }
    assert {*sorted_by, *drawn, *accessors} == layer["columns"].keys()


def compact(panel: Panel) -> str:
    """Return how a panel is drawn, as JSON text."""
    return json.dumps(panel.attributes["state"]["visualization"], separators=(",", ":"))


def test_panels_do_not_overlap() -> None:
    """Kibana's grid has 48 columns."""
    taken: set[tuple[int, int]] = set()
    for each in json.loads(DASHBOARD["attributes"]["panelsJSON"]):
        grid = each["gridData"]
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert max(x for x, _ in cells) < 48
        assert not cells & taken
        taken |= cells
