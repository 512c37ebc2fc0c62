"""docs/how-to/move-to-elasticsearch.md is true: by its commands a site moves under load, and loses nothing."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from eventserver.cli import main
from servers.elasticsearch import Elasticsearch
from tests.system.moving_site import PAGE, Site, blocks
from tests.system.spooled_load import SpooledLoad, new_ledger, until_drained, url_of
from tests.system.workload import check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COPY = "1. Copy, and go on with what arrives"
STOP = "2. Stop the server, then the copy, and copy what is left"
START = "3. Start the server on the new store"
COMPARE = "4. Compare"
AT_ONCE = "If no event may be refused meanwhile"
BACK = "Back again"
SENDERS = 8
PAUSE_SECONDS = 0.06
"""Some hundred events a second: Elasticsearch shares the machine with the other tests."""


@pytest.fixture
def site(tmp_path: Path, elasticsearch: Elasticsearch, prefix: str) -> Iterator[Site]:
    """A site whose server keeps events in files, with a history."""
    site = Site(tmp_path, f"{elasticsearch.url.replace('http', 'elasticsearch', 1)}/{prefix}")
    try:
        site.server.start()
        yield site
    finally:
        site.close()


@asynccontextmanager
async def senders(site: Site, seed: str) -> AsyncIterator[SpooledLoad]:
    """Send all the time, also while there is no server: such an event is gone, and was not acknowledged."""
    load = SpooledLoad(url_of(site.server), new_ledger(Random(seed)), seed)
    ended = asyncio.Event()

    async def send() -> None:
        while not ended.is_set():
            await load.run(SENDERS, pause=PAUSE_SECONDS)
            await asyncio.sleep(0.05)

    sending = asyncio.create_task(send())
    try:
        yield load
    finally:
        ended.set()
        load.stop()
        await sending


async def give_history(site: Site) -> None:
    """Let there be events of all types, some thousands."""
    url = ["--url", url_of(site.server)]
    command = ["simulate", *url, "--systems", "20", "--days", "30", "--seed", "history"]
    assert await asyncio.to_thread(main.main, command, standalone_mode=False) in {None, 0}


async def copy_until_caught_up(site: Site) -> None:
    """Follow step 1, with a kill -9 in the middle, after which it is run again."""
    site.follow(COPY)
    await site.until_begun()
    await site.end_follow(signal.SIGKILL)
    site.follow(COPY)
    await site.until_said("caught up")


async def acknowledge_more(load: SpooledLoad, count: int = 200) -> None:
    """Wait until the senders have got on."""
    wanted = len(load.ledger.acknowledged) + count
    for _ in range(1200):
        if len(load.ledger.acknowledged) >= wanted:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the server takes nothing: {load.refused[-3:]}")


def digests(comparison: str) -> set[tuple[str, str]]:
    """Return the counts and digests that a comparison told."""
    return set(re.findall(r": (\d+) events, digest (\w+)", comparison))


async def test_a_site_moves_under_load(
    site: Site, elasticsearch: Elasticsearch, prefix: str, seed: str, show: Callable[[str], None]
) -> None:
    """Step by step, and back again: both stores are equal, nothing acknowledged is missing, nothing is twice."""
    await give_history(site)
    async with senders(site, seed) as load:
        await site.run("Before")
        await copy_until_caught_up(site)
        await acknowledge_more(load)
        await site.run(STOP, 0)
        assert await site.end_follow(signal.SIGINT) == 0
        rest = await site.run(STOP, 1)
        equal = await site.run(STOP, 2)
        assert equal.endswith("They are equal.\n")
        ((count, _),) = digests(equal)
        assert elasticsearch.request("GET", f"/{prefix}/_count")["count"] == int(count)
        await site.run(START)
        await acknowledge_more(load)
        compared = await site.run(COMPARE)
        assert re.search(r"^(They are equal|All of --from is in --to, which has \d+ more)\.$", compared, re.MULTILINE)
    await until_drained(site.server)
    await check(url_of(site.server), load.ledger)
    assert load.refused == []
    assert "Traceback" not in site.server.output()

    async with senders(site, f"{seed}/back") as later:
        await acknowledge_more(later)
        await site.run(BACK)
        await acknowledge_more(later)
    for each in (load, later):
        await check(url_of(site.server), each.ledger)
    show(
        f"a site of {count} events moved; {len(load.ledger.acknowledged)} were acknowledged meanwhile, none missing, "
        f"none there twice; left for the last copy: {rest.strip()}"
    )


async def test_a_site_moves_without_a_pause(site: Site, seed: str) -> None:
    """The server starts on the new store at once; what is left is copied beside it."""
    await give_history(site)
    async with senders(site, seed) as load:
        await copy_until_caught_up(site)
        await acknowledge_more(load)
        await site.run(AT_ONCE, 0)
        await acknowledge_more(load)
        assert await site.end_follow(signal.SIGTERM) == 0
        await site.run(AT_ONCE, 1)
        compared = await site.run(COMPARE)
    assert "All of --from is in --to" in compared
    await until_drained(site.server)
    await check(url_of(site.server), load.ledger)
    assert load.refused == []


def test_every_block_of_the_page_is_run() -> None:
    """None is added that these tests pass by."""
    counts = {heading: len(found) for heading, found in blocks().items() if found}
    assert counts == {"": 1, "Before": 1, COPY: 1, STOP: 3, START: 1, COMPARE: 1, AT_ONCE: 2, BACK: 1}
    assert sum(counts.values()) == PAGE.count("```sh")
