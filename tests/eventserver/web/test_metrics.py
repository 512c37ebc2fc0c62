"""``GET /metrics``."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client.parser import text_string_to_metric_families

from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web.keys import COUNTERS
from support.live_server import EVENT

JSON = {"Content-Type": "application/json"}
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


async def scrape(client: TestClient) -> dict[str, float]:
    """Return all samples by name and labels."""
    answer = await client.get("/metrics")
    assert answer.status == 200
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(await answer.text())
        for sample in family.samples
    }


async def test_outcomes(client: TestClient) -> None:
    """Every outcome of an event is counted, by what became of it and its type."""
    for body in (EVENT, EVENT, EVENT.replace(b"{}", b'{"a":1}'), b"{"):
        await client.post("/api/v1/events", data=body, headers=JSON)
    samples = await scrape(client)
    assert samples["eventserver_events_total['sl_test_event', 'stored']"] == 1
    assert samples["eventserver_events_total['duplicate', 'sl_test_event']"] == 1
    assert samples["eventserver_events_total['event_conflict', 'sl_test_event']"] == 1
    assert samples["eventserver_events_total['malformed_json', 'other']"] == 1
    assert samples["eventserver_validate_seconds_count[]"] == 3
    assert samples["eventserver_store_seconds_count[]"] == 3
    assert samples["eventserver_quarantine_entries[]"] == 2


async def test_labels_are_bounded(client: TestClient, app: web.Application) -> None:
    """A sender can't make labels: types that are not loaded are one."""
    for number in range(100):
        await client.post("/api/v1/events", data=EVENT.replace(b"sl_test_event", b"sl_%d" % number), headers=JSON)
        app[COUNTERS].outcomes["stored", f"gone_{number}"] += 1
    samples = await scrape(client)
    assert len([name for name in samples if name.startswith("eventserver_events_total")]) == 2
    assert samples["eventserver_events_total['other', 'stored']"] == 100
    assert samples["eventserver_events_total['other', 'unknown_event_type']"] == 100


async def test_histograms_are_cumulative(client: TestClient, app: web.Application) -> None:
    """The buckets of a histogram only grow, up to the count."""
    for seconds in (0.000_001, 0.003, 0.003, 1000):
        app[COUNTERS].store_seconds.observe(seconds)
    samples = await scrape(client)
    assert samples["eventserver_store_seconds_bucket['1e-06']"] == 1
    assert samples["eventserver_store_seconds_bucket['0.002']"] == 1
    assert samples["eventserver_store_seconds_bucket['0.005']"] == 3
    assert samples["eventserver_store_seconds_bucket['10.0']"] == 3
    assert samples["eventserver_store_seconds_bucket['+Inf']"] == samples["eventserver_store_seconds_count[]"] == 4


async def test_reference(
    client: TestClient,
    aiohttp_client: Callable[[web.Application], Awaitable[TestClient]],
    settings: Settings,
    tmp_path: Path,
) -> None:
    """Each metric of ours is described in the reference, and each that is described is there, whatever the store."""
    clients = [client]
    for kind in ("elasticsearch", "cassandra"):
        elsewhere = {"event_store": f"{kind}://127.0.0.1:1/nowhere", "event_root_dir": tmp_path / kind}
        clients.append(await aiohttp_client(make_app(settings.model_copy(update=elsewhere))))
    there: set[str] = set()
    for each in clients:
        text = await (await each.get("/metrics")).text()
        there |= {match[1] for match in re.finditer(r"# TYPE (eventserver_\w+)", text)}
    described = set(re.findall(r"^\| `(eventserver_\w+)", REFERENCE.read_text(), re.MULTILINE))
    assert there == described
