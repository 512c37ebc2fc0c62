"""The parameters of a list: how they are read, and that none is overlooked."""

import base64
import json
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from backends.base import Query
from eventserver.web.keys import STORE
from support.events import SYSTEM
from support.paging import listed
from support.wire_events import EVENTS, code_of
from support.wire_lists import LINES, MANY, array_of, pages_of


@pytest.fixture
async def many(client: TestClient, app: web.Application) -> TestClient:
    """A client of a server that has many events."""
    await app[STORE].put(MANY)
    return client


@pytest.mark.parametrize("wrong", ["no-uuid", "83927d00f46c11e69f9b3c15c2cc8f88", "%7B1%7D"])
async def test_a_system_that_is_no_uuid_is_refused(client: TestClient, wrong: str) -> None:
    """It is a mistake of the client, not a system without events."""
    answer = await client.get(f"{EVENTS}/smrt-link/{wrong}")
    assert (answer.status, await code_of(answer)) == (400, "invalid_uuid")


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("text", ["2017-02-16T16:36:21.082 00:00", "2017-02-16T17:36:21.082 0100"])
async def test_a_space_where_a_plus_belongs_is_read_as_one(many: TestClient, name: str, text: str) -> None:
    """Whoever did not escape it means it; and the links go on so."""
    instant = "2017-02-16T16:36:21.082000000Z"
    query = Query(from_at=instant) if name == "from" else Query(to_at=instant)
    expected = listed(MANY, query)
    for spelt in (quote(text), text.replace(" ", "+"), quote(text.replace(" ", "+"))):
        pages = await pages_of(many, f"{EVENTS}?{name}={spelt}&limit=50")
        assert [event for page in pages for event in json.loads(page)] == json.loads(array_of(expected))


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        *[(f"limit={wrong}", "limit") for wrong in ("0", "1001", "-1", "+1", "1.0", "", "ten", "1e2", "٣", "9" * 5000)],
        *[(f"order={wrong}", "order") for wrong in ("", "ASC", "descending", "asc,desc")],
        *[(f"from={wrong}", "from") for wrong in ("", "yesterday", "2017-02-16", "2017-02-16T08:36:21", "1487262981")],
        *[(f"to={wrong}", "to") for wrong in ("", "2017-02-30T08:36:21Z", "0001-01-01T00:00:00%2B01:00")],
        *[(f"cursor={wrong}", "cursor") for wrong in ("", "x", "%00", "ä", "=", "bm9uc2Vuc2U", "!" * 80)],
        *[(f"eventTypeVersion={wrong}&eventTypeId=x", "eventTypeVersion") for wrong in ("0", "2147483648", "x", "")],
        ("eventTypeVersion=1", "eventTypeVersion"),
        ("limits=1", "limits"),
        ("Limit=1", "Limit"),
        ("=1", "''"),
        ("smrtLinkId=x", "smrtLinkId"),
        ("limit=1&limit=2", "limit"),
        ("order=asc&order=asc", "order"),
        ("from=2017-02-16T08:36:21Z&to=2018-02-16T08:36:21Z&from=2016-02-16T08:36:21Z", "from"),
    ],
)
@pytest.mark.parametrize("headers", [{}, LINES])
async def test_a_parameter_that_is_not_understood_is_refused_by_name(
    client: TestClient, parameters: str, name: str, headers: dict[str, str]
) -> None:
    """Unknown, twice, or of no such form: never overlooked, since the list would be another one than was asked for."""
    for path in (EVENTS, f"{EVENTS}/smrt-link/{SYSTEM}"):
        answer = await client.get(f"{path}?{parameters}", headers=headers)
        assert (answer.status, await code_of(answer)) == (400, "invalid_parameter")
        assert f"{name}" in (await answer.json())["detail"]


@pytest.mark.parametrize(
    "position",
    [
        "2017-02-16T16:36:21.082000000Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f8",
        "2017-02-16T16:36:21.082Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
        "2017-02-30T16:36:21.082000000Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
        "9999-99-99T99:99:99.999999999Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
        "0000-01-01T00:00:00.000000000Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
        "2017-02-16T16:36:60.082000000Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
        "2017-02-16T16:36:21.082000000Z/83927D00-f46c-11e6-9f9b-3c15c2cc8f88",
        "2017-02-16T16:36:21.082000000Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f88\n",
        "2017-02-16T16:36:21.082000000Z/83927d00-f46c-11e6-9f9b-3c15c2cc8f8٣",
    ],
)
async def test_a_cursor_that_no_link_can_have_given_is_refused(many: TestClient, position: str) -> None:
    """A position that is none is not understood either."""
    cursor = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
    answer = await many.get(f"{EVENTS}?cursor={cursor}")
    assert (answer.status, await code_of(answer)) == (400, "invalid_parameter")
