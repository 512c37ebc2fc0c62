"""Legal events that no mapping likes: stored, got and listed as on the filesystem, whatever their schema describes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from backends.base import Event, EventStore, Outcome, Query, Status
from backends.elasticsearch import ElasticsearchStore
from backends.elasticsearch.claims import PATIENCE
from backends.filesystem import FilesystemStore
from support.elasticsearch import FIRST, MakeStore
from support.events import OTHER_SYSTEM, SYSTEM, as_sent, make_event, replaced
from support.paging import tail_all, walk

ANY: Final[dict[str, Any]] = {}
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "open": {"type": "object"},
    "described": {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "byte": {"type": "integer", "minimum": 0, "maximum": 100},
            "x": {"type": "number"},
            "text": {"type": "string"},
            "state": {"enum": ["a", "b"]},
            "at": {"type": "string", "format": "date-time"},
            "ip": {"type": "string", "format": "ipv4"},
            "flag": {"type": "boolean"},
            "jobs": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
            "labels": {"type": "object"},
        },
    },
}
DIGITS: Final = "123456789012345678901234567890"
MESSAGES: Final = {
    "extra keys": '{"n":1,"other":{"more":[1,{"a":null}]},"another":"x"}',
    "an empty key": '{"":1,"n":1}',
    "an empty key inside": '{"jobs":[{"":{"":1}}],"labels":{"":1}}',
    "a key with a dot": '{"a.b":1}',
    "a key with a dot behind a field": '{"n":1,"n.x":2,"jobs.n":3}',
    "a key with two dots": '{"a..b":1,"jobs":[{"a..b":1}]}',
    "dots only": '{".":1,"..":2," ":3}',
    "metadata fields": '{"_id":"x","_source":{},"_index":1,"_routing":[],"_type":null}',
    "depth 64": '{"n":1,"deep":' + '{"a":' * 61 + "1" + "}" * 61 + "}",
    "depth 64 of arrays in a field": '{"n":' + "[" * 62 + "1" + "]" * 62 + "}",
    "30 digits": f'{{"n":{DIGITS},"byte":{DIGITS},"x":{DIGITS},"jobs":[{{"n":{DIGITS}}}]}}',
    "beyond a double": '{"n":1E+400,"x":1E+400,"byte":-1E+400,"jobs":[{"n":1e-400}]}',
    "5,000 digits": '{"n":' + "7" * 5000 + "}",
    "a text of 100 kB": '{"text":"' + "x" * 100_000 + '"}',
    "a text of 100 kB of three bytes each": '{"text":"' + "漢" * 34_000 + '","labels":{"a":"' + "漢" * 34_000 + '"}}',
    "a key of 40 kB": '{"labels":{"' + "k" * 40_000 + '":1}}',
    "a time that is no date": '{"at":"2016-12-31T23:59:60Z"}',
    "a time of many digits": '{"at":"2026-11-24T11:22:33.1234567890123Z"}',
    "another kind in each field": '{"n":"x","text":{},"state":[{}],"at":1,"ip":{"a":1},"flag":"x","jobs":1,"labels":2}',
    "a NUL": '{"text":"\\u0000","labels":{"\\u0000":"\\u0000"}}',
}
EXTRA: Final = ['"":1', '"a.b":{}', '"a..b":[1]', '"_id":"x"', '"_source":{"a":1}', '"uuid.x":1', '"message.n":{}']
EXTRA_BIG: Final = [
    '"n":1E+400',
    f'"n":{DIGITS}',
    '"t":"' + "x" * 100_000 + '"',
    '"d":' + '{"a":' * 62 + "1" + "}" * 62,
]


def awkward() -> list[Event]:
    """Return all of them; those of one system have no other."""
    events = [
        as_sent(message, smrtlink_id=(SYSTEM, OTHER_SYSTEM)[number % 2], at=f"2017-02-16T16:36:{number:02}.000000000Z")
        for number, message in enumerate(MESSAGES.values())
    ]
    return events + [replaced(make_event(message={"n": 1}), '"message":', f'{extra},"message":') for extra in EXTRA]


@pytest.fixture
async def filesystem(tmp_path: Path) -> AsyncIterator[EventStore]:
    """Return what shows how it should be."""
    async with FilesystemStore(tmp_path) as store:
        yield store


@pytest.fixture(params=SCHEMAS.values(), ids=SCHEMAS.keys())
async def prepared(request: pytest.FixtureRequest, make: MakeStore) -> AsyncIterator[ElasticsearchStore]:
    """Return a store that is prepared for one of the schemas; patient, so that events sent twice keep their place."""
    async with make(patience=PATIENCE) as store:
        await store.prepare({(FIRST, 1): request.param})
        yield store


@pytest.mark.parametrize("together", [True, False], ids=["in one put", "one by one"])
async def test_they_are_as_on_the_filesystem(
    prepared: ElasticsearchStore, filesystem: EventStore, *, together: bool
) -> None:
    """By get, by every list, by the tail, and put again."""
    events = awkward()
    for store in (prepared, filesystem):
        if together:
            assert await store.put(events) == [Outcome(Status.STORED)] * len(events)
        else:
            assert [await store.put([event]) for event in events] == [[Outcome(Status.STORED)]] * len(events)
    queries = [Query(), Query(descending=True), Query(smrtlink_id=OTHER_SYSTEM), Query(event_type_id=FIRST)]
    queries += [Query(event_type_id=FIRST, event_type_version=1, from_at="2017-02-16T16:36:05.000000000Z")]
    for query in queries:
        assert await walk(prepared, query, limit=7) == await walk(filesystem, query, limit=7)
        assert await walk(prepared, query, max_bytes=50_000) == await walk(filesystem, query, max_bytes=50_000)
    for event in events:
        assert await prepared.get(event.uuid) == await filesystem.get(event.uuid) == event.record
        assert await prepared.put([event]) == await filesystem.put([event])
    assert await tail_all(prepared) == await tail_all(filesystem) == events
