"""Archive and event: never one acknowledged without the other, whatever fails in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.base import Event, Outcome
from backends.bundles import FileBundles
from backends.bundles.retention import Retention, expired
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.memory import MemoryStore
from backends.quarantine import Quarantine
from eventserver.bundle_intake import BundleIntake
from eventserver.bundle_retention import remove_expired
from eventserver.config import packaged_schemas
from eventserver.counters import Counters
from eventserver.intake import Intake, Receipt
from eventserver.quarantine_replay import QuarantineReplay
from eventserver.refusal import Code, Refusal
from eventserver.schemas import SchemaRegistry
from support.archives import tgz
from support.spool import until


class FailingStore(MemoryStore):
    """Fails the next puts as it is told, before or after they take effect."""

    before: StoreError | None = None
    after: StoreError | None = None

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Put, or fail."""
        if self.before is not None:
            raise self.before
        outcomes = await super().put(events)
        if self.after is not None:
            raise self.after
        return outcomes


class House:
    """An intake of bundles with all that it needs."""

    def __init__(self, root: Path, store: FailingStore, quarantine: Quarantine) -> None:
        self.registry = SchemaRegistry(packaged_schemas())
        self.registry.load()
        self.root = root
        self.store = store
        self.quarantine = quarantine
        self.intake = Intake(store=store, registry=self.registry, quarantine=quarantine, counters=Counters(), timeout=5)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BundleIntake]:
        """Open the intake, as at a start."""
        async with (
            FileBundles(self.root) as bundles,
            BundleIntake(intake=self.intake, registry=self.registry, bundles=bundles) as intake,
        ):
            yield intake

    def files(self) -> list[Path]:
        """Return all files of bundles, also marks and parts."""
        return sorted(path for path in (self.root / "files").rglob("*") if path.is_file())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house with a store in memory that survives restarts."""
    async with FailingStore() as store, Quarantine(tmp_path / "quarantine") as quarantine:
        yield House(tmp_path, store, quarantine)


async def upload(intake: BundleIntake, archive: bytes, name: str = "a.tgz") -> Receipt:
    """Hand in an archive."""
    async with intake.bundles.receive() as incoming:
        await incoming.write(archive)
        return await intake.accept(incoming, name=name, peer="1.2.3.4")


async def test_event_that_is_not_stored_for_lack_of_room_leaves_no_archive(house: House) -> None:
    """Nothing of it is acknowledged."""
    async with house.open() as intake:
        house.store.before = StorageFull("full")
        with pytest.raises(StorageFull):
            await upload(intake, tgz())
        assert house.files() == []
        house.store.before = None
        assert (await upload(intake, tgz())).status == "stored"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_event_whose_fate_is_unknown_is_settled_by_the_next_upload(house: House, when: str) -> None:
    """Whether it was stored or not: archive and event are there then, each once."""
    async with house.open() as intake:
        setattr(house.store, when, StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            await upload(intake, tgz())
        assert len(house.files()) == 2
        setattr(house.store, when, None)
        receipt = await upload(intake, tgz(), "other.tgz")
        assert receipt.status == ("stored" if when == "before" else "duplicate")
    assert [path.name for path in house.files()] == [f"{receipt.uuid}-a.tgz"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_event_whose_fate_is_unknown_is_settled_by_the_next_start(house: House, when: str) -> None:
    """As after a kill at that moment."""
    async with house.open() as intake:
        setattr(house.store, when, StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            await upload(intake, tgz())
        setattr(house.store, when, None)
    async with house.open() as intake:
        [archive] = house.files()
        uuid = archive.name[:36]
        record = await house.store.get(uuid)
        assert record is not None
        assert archive.relative_to(house.root).as_posix().encode() in record
        assert (await upload(intake, tgz())).status == "duplicate"


async def test_store_that_stays_away_keeps_the_archive_for_later(house: House) -> None:
    """The start goes on, and the archive waits."""
    async with house.open() as intake:
        house.store.before = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            await upload(intake, tgz())
    async with house.open():
        assert len(house.files()) == 2


async def test_store_that_comes_back_gets_the_event_of_an_archive(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without another start, and without another upload."""
    monkeypatch.setattr("eventserver.bundle_intake.FINISH_SECONDS", 0.05)
    async with house.open() as intake:
        house.store.before = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            await upload(intake, tgz())
    async with house.open(), asyncio.timeout(20):
        await asyncio.sleep(0.2)
        house.store.before = None
        await until(lambda: len(house.files()) == 1)
        [archive] = house.files()
        assert await house.store.get(archive.name[:36]) is not None


async def test_archive_of_a_stored_event_is_kept_though_it_would_be_refused_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a schema has changed between a crash and the next start."""
    async with house.open() as intake:
        house.store.after = StoreUnavailable("no answer")
        with pytest.raises(StoreUnavailable):
            await upload(intake, tgz())
        house.store.after = None

    def refuse(*_: object) -> Event:
        raise Refusal(Code.SCHEMA_VIOLATION, "not any more")

    monkeypatch.setattr(house.intake, "judge", refuse)
    async with house.open():
        [archive] = house.files()
        assert archive.name.endswith("-a.tgz")


async def test_mark_without_archive_is_removed(house: House) -> None:
    """A crash between the two leaves it."""
    async with house.open() as intake:
        await upload(intake, tgz())
    [archive] = house.files()
    day = archive.parent.relative_to(house.root / "files").as_posix().replace("/", "-")
    (house.root / "files" / ".incoming" / f"{day}-{archive.name}.pending").touch()
    archive.unlink()
    async with house.open():
        assert house.files() == []


async def test_uuid_that_names_another_event_is_a_conflict(house: House) -> None:
    """Somebody posted it; the archive is in quarantine, and not among the bundles."""
    async with house.open() as intake:
        receipt = await upload(intake, tgz())
    for path in house.files():
        path.unlink()
    async with FailingStore() as other:
        house.intake.store = other
        posted = receipt.original.replace(b"mkocher", b"somebody")
        await house.intake.accept(posted, peer="")
        async with house.open() as intake:
            with pytest.raises(Refusal) as caught:
                await upload(intake, tgz())
        assert caught.value.code is Code.EVENT_CONFLICT
        assert house.files() == []
        assert house.quarantine.entries == 1


async def test_two_servers_take_one_archive(house: House, tmp_path: Path) -> None:
    """One stores it; the other answers with the first one's event, whatever the file was called."""
    second = House(tmp_path / "second", house.store, house.quarantine)
    async with house.open() as one, second.open() as other:
        receipts = await asyncio.gather(
            *(upload(intake, tgz(), f"{number}.tgz") for number in range(5) for intake in (one, other))
        )
    assert sorted(receipt.status for receipt in receipts) == ["duplicate"] * 9 + ["stored"]
    assert len({receipt.original for receipt in receipts}) == 1


async def test_refused_archive_is_taken_when_the_schema_is_mended(house: House) -> None:
    """It is in quarantine whole, and replayed it leaves it."""
    async with house.open() as intake:
        kept = house.registry.validators
        house.registry.validators = {}
        with pytest.raises(Refusal) as caught:
            await upload(intake, tgz())
        assert caught.value.code in {Code.UNKNOWN_EVENT_TYPE, Code.SCHEMA_VIOLATION}
        assert house.files() == []
        replay = QuarantineReplay(house.quarantine, house.intake, intake)
        [entry] = (await house.quarantine.find()).entries
        assert (await replay.replay(entry.id)).result == caught.value.code
        assert house.quarantine.entries == 1
        house.registry.validators = kept
        replayed = await replay.replay(entry.id)
        assert replayed.result == "stored"
        assert house.quarantine.entries == 0
        assert len(house.files()) == 1


async def test_retention_by_age_and_by_size(house: House) -> None:
    """The oldest give way; a dry run removes nothing; what was removed is gone, its event is not."""
    async with house.open() as intake:
        archives = [tgz(comment=f"{number}") for number in range(4)]
        receipts = [await upload(intake, archive) for archive in archives]
        later = datetime.now(UTC) + timedelta(days=10)
        store = intake.bundles
        assert await expired(store, Retention(timedelta(days=11)), later) == []
        assert len(await expired(store, Retention(timedelta(days=9)), later)) == 4
        room = sum(map(len, archives[1:]))
        dry = Retention(max_bytes=room, is_dry_run=True)
        assert (await remove_expired(store, dry), len(house.files())) == (1, 4)
        assert (await remove_expired(store, Retention(max_bytes=room)), len(house.files())) == (1, 3)
        assert await house.store.get(receipts[0].uuid) is not None
        assert await remove_expired(store, Retention(max_bytes=room)) == 0


async def test_unsettled_archive_is_not_removed(house: House) -> None:
    """However old it is."""
    async with house.open() as intake:
        house.store.before = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            await upload(intake, tgz())
        assert await expired(intake.bundles, Retention(max_bytes=1)) == []
