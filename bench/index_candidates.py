"""What could be the index of the log: this project's sorted tables, LMDB, RocksDB, SQLite; all four orders each.

``python -m bench.index_candidates [--rows N] [--only NAME ...]``. LMDB and RocksDB are measured when they are there
(``pip install lmdb rocksdict``); they are no dependencies of the project. Each candidate runs in a process of its own.

The others get the best case: rows packed and sorted by the same vectorised code, committed behind in batches of 65,536,
durable after each batch (sorted tables: after each run). LMDB runs without WRITEMAP, which would turn a full disk into
SIGBUS; RocksDB without its log, flushed after each batch, with a Bloom filter.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.base import Event, Position, Query
from backends.disk import Disk
from backends.filesystem.index import Index
from backends.filesystem.memory_table import MemoryTable
from backends.filesystem.rows import (
    BY_SYSTEM,
    BY_TIME,
    BY_TYPE,
    digest_of,
    make_rows,
    pack_instants,
    pack_uuids,
    sort_rows,
)
from backends.log import LogPosition, Place

BATCH = 65_536
GROUP = 200
PAGE = 100
LOOK_UPS = 20_000
SYSTEMS = [f"{number:08x}-f46e-11e6-a35c-3c15c2cc8f88" for number in range(300)]
TYPES = [("smrtlink_job_change_state", 1), ("sl_job_metrics", 1), ("eula_signed", 1)]
IDENTITY, SYSTEM, TYPE, TIME = b"i", b"s", b"t", b"a"
KEY_WIDTHS = {SYSTEM: 44, TYPE: 32, TIME: 28}


class Candidate(ABC):
    """An index under measurement."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def add(self, event: Event, place: Place) -> None:
        """Add an event on the caller's thread."""

    @abstractmethod
    def end_group(self, place: Place) -> None:
        """End a group of events."""

    @abstractmethod
    def settle(self) -> None:
        """Make all durable, and let all work that was put off be done."""

    @abstractmethod
    def find(self, uuid: str) -> object:
        """Look a uuid up."""

    @abstractmethod
    def page(self, query: Query) -> int:
        """Read a page; return its length."""


class Ours(Candidate):
    """Sorted tables."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.index = Index(directory, disk=Disk())
        self.index.open()
        self.add = self.index.add  # type: ignore[method-assign]
        self.find = self.index.find_places  # type: ignore[method-assign]

    def add(self, event: Event, place: Place) -> None:
        """Replaced by the index's own."""

    def find(self, uuid: str) -> object:
        """Replaced by the index's own."""

    def end_group(self, place: Place) -> None:
        """As the store does."""
        self.index.mark_complete(LogPosition(place.segment, place.offset + place.length + 1))
        while self.index.is_behind:
            time.sleep(0.001)

    def settle(self) -> None:
        """Wait until the thread has nothing more to do."""
        state: object = None
        while state != (state := (self.index.statistics(), size_of(self.directory))):
            time.sleep(2)

    def page(self, query: Query) -> int:
        """As the store does."""
        return len(self.index.list_entries(query, limit=PAGE))


class Sorted(Candidate):
    """A database that gets sorted batches."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.memory = MemoryTable()

    @abstractmethod
    def put(self, table: bytes, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """Put a batch of keys and values into a table."""

    @abstractmethod
    def commit(self) -> None:
        """Make the batch durable."""

    @abstractmethod
    def read(self, table: bytes, start: bytes, prefix: bytes) -> int:
        """Read a page behind a key."""

    def add(self, event: Event, place: Place) -> None:
        """Keep it for the next batch."""
        event_type = TYPES.index((event.event_type_id, event.event_type_version))
        self.memory.add_all((event,), (event_type,), (place,), (digest_of(b"", event.uuid),))

    def end_group(self, place: Place) -> None:  # noqa: ARG002 - as the base class
        """Write a batch when there is enough."""
        if len(self.memory) >= BATCH:
            self.settle()

    def settle(self) -> None:
        """Write a batch."""
        columns = self.memory.pack()
        by_uuid = [
            (b"".join(pair), place.tobytes()) for *pair, place in zip(columns["uuid"], columns["place"], strict=True)
        ]
        self.put(IDENTITY, iter(sorted(by_uuid)))
        for name, table in ((SYSTEM, BY_SYSTEM), (TYPE, BY_TYPE), (TIME, BY_TIME)):
            data, width, key = (
                sort_rows(make_rows(table, columns), table.key_width).tobytes(),
                table.width,
                table.key_width,
            )
            starts = range(0, len(data), width)
            self.put(name, ((data[start : start + key], data[start + key : start + width]) for start in starts))
        self.commit()
        self.memory = MemoryTable()

    def page(self, query: Query) -> int:
        """Read from one table, in key order."""
        if query.smrtlink_id:
            table, prefix = SYSTEM, pack_uuids([query.smrtlink_id])
        elif query.event_type_id:
            table, prefix = TYPE, TYPES.index((query.event_type_id, 1)).to_bytes(4, "big")
        else:
            table, prefix = TIME, b""
        after = query.after
        start = prefix + (pack_instants(after.at.encode()) + pack_uuids([after.uuid]) if after else b"")
        return self.read(table, start, prefix)


class Lmdb(Sorted):
    """LMDB."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        lmdb = importlib.import_module("lmdb")
        self.environment = lmdb.open(str(directory), map_size=1 << 36, max_dbs=4, writemap=False, readahead=False)
        self.tables = {name: self.environment.open_db(name) for name in (IDENTITY, SYSTEM, TYPE, TIME)}
        self.begin()

    def begin(self) -> None:
        """Begin to write, and to read."""
        self.writing = self.environment.begin(write=True)
        self.reading = self.environment.begin(buffers=False)

    def put(self, table: bytes, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """In one call."""
        self.writing.cursor(self.tables[table]).putmulti(rows)

    def commit(self) -> None:
        """Synced."""
        self.reading.abort()
        self.writing.commit()
        self.begin()

    def find(self, uuid: str) -> object:
        """In one transaction for all look-ups."""
        return self.reading.get(bytes.fromhex(uuid.replace("-", "")), db=self.tables[IDENTITY])

    def read(self, table: bytes, start: bytes, prefix: bytes) -> int:
        """With a cursor."""
        cursor = self.reading.cursor(self.tables[table])
        count = 0
        if cursor.set_range(start):
            for key, _ in cursor:
                if count == PAGE or not key.startswith(prefix):
                    break
                count += 1
        return count


class Rocks(Sorted):
    """RocksDB."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.rocksdict: Any = importlib.import_module("rocksdict")
        options = self.rocksdict.Options(raw_mode=True)
        table = self.rocksdict.BlockBasedOptions()
        table.set_bloom_filter(10, False)  # noqa: FBT003 - positional in the library
        options.set_block_based_table_factory(table)
        self.database = self.rocksdict.Rdict(str(directory), options)
        self.how = self.rocksdict.WriteOptions()
        self.how.disable_wal = True

    def put(self, table: bytes, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """In batches of ten thousand."""
        batch = self.rocksdict.WriteBatch(raw_mode=True)
        for key, value in rows:
            batch.put(table + key, value)
            if batch.len() == 10_000:
                self.database.write(batch, self.how)
                batch = self.rocksdict.WriteBatch(raw_mode=True)
        self.database.write(batch, self.how)

    def commit(self) -> None:
        """Flush."""
        self.database.flush()

    def find(self, uuid: str) -> object:
        """Get."""
        return self.database.get(IDENTITY + bytes.fromhex(uuid.replace("-", "")))

    def read(self, table: bytes, start: bytes, prefix: bytes) -> int:
        """With an iterator."""
        iterator = self.database.iter()
        iterator.seek(table + start)
        count = 0
        while count < PAGE and iterator.valid() and iterator.key().startswith(table + prefix):
            iterator.value()
            iterator.next()
            count += 1
        return count


class Sqlite(Sorted):
    """SQLite, write-ahead log, synced with each commit."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        directory.mkdir()
        self.connection = sqlite3.connect(directory / "index.sqlite")
        self.connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-20000;")
        for name in (IDENTITY, SYSTEM, TYPE, TIME):
            self.connection.execute(f"CREATE TABLE {name.decode()} (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")

    def put(self, table: bytes, rows: Iterator[tuple[bytes, bytes]]) -> None:
        """In one call."""
        self.connection.executemany(f"INSERT OR REPLACE INTO {table.decode()} VALUES (?, ?)", rows)

    def commit(self) -> None:
        """Synced."""
        self.connection.commit()

    def find(self, uuid: str) -> object:
        """Select."""
        key = bytes.fromhex(uuid.replace("-", ""))
        return self.connection.execute("SELECT v FROM i WHERE k = ?", (key,)).fetchone()

    def read(self, table: bytes, start: bytes, prefix: bytes) -> int:
        """Select a range."""
        statement = f"SELECT k, v FROM {table.decode()} WHERE k > ? AND k < ? ORDER BY k LIMIT {PAGE}"
        return len(self.connection.execute(statement, (start, prefix + b"\xff" * 64)).fetchall())


CANDIDATES: dict[str, tuple[type[Candidate], str | None]] = {
    "sorted tables": (Ours, None),
    "LMDB": (Lmdb, "lmdb"),
    "RocksDB": (Rocks, "rocksdict"),
    "SQLite": (Sqlite, "sqlite3"),
}


def events(rows: int) -> Iterator[tuple[Event, Place]]:
    """Yield events with random uuids, of a clock that runs on, from 300 systems in turn."""
    digits = random.Random(1)
    for number in range(rows):
        text = f"{digits.getrandbits(128):032x}"
        uuid = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        event_type_id, version = TYPES[0 if number % 16 else 1 + number // 16 % 2]
        second, minute, hour = number // 500 % 60, number // 30_000 % 60, number // 1_800_000
        at = f"2026-11-24T{hour:02}:{minute:02}:{second:02}.{number % 500 * 2_000_000:09}Z"
        yield (
            Event(uuid, SYSTEMS[number % 299], event_type_id, version, at, b""),
            Place(1 + number // 500_000, number % 500_000 * 500, 480),
        )


def size_of(directory: Path) -> int:
    """Return the bytes of all files in a directory."""
    size = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a run that was merged
            size += path.stat().st_size if path.is_file() else 0
    return size


def anonymous_megabytes() -> float:
    """Return this process' anonymous resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def microseconds(look_up: Callable[[str], object], uuids: Sequence[str]) -> float:
    """Return the CPU time of one look-up (all is in the page cache), median of five passes."""
    passes = []
    for _ in range(5):
        start = time.thread_time()
        for uuid in uuids:
            look_up(uuid)
        passes.append((time.thread_time() - start) / len(uuids) * 1e6)
    return statistics.median(passes)


def milliseconds(candidate: Candidate, query: Query) -> float:
    """Return the CPU time of one page, median of twenty."""
    times = []
    for _ in range(20):
        start = time.thread_time()
        assert candidate.page(query) == PAGE, query
        times.append((time.thread_time() - start) * 1e3)
    return statistics.median(times)


def measure(name: str, rows: int, directory: Path) -> dict[str, float]:
    """Fill a candidate and measure it."""
    before = anonymous_megabytes()
    candidate = CANDIDATES[name][0](directory / "index")
    sample: list[Event] = []
    peak, adding, making = 0.0, 0.0, 0.0
    started, cpu_started = time.perf_counter(), time.process_time()
    stream = events(rows)
    for begin in range(0, rows, GROUP):
        mark = time.thread_time()
        group = [next(stream) for _ in range(min(GROUP, rows - begin))]
        made = time.thread_time()
        for event, place in group:
            candidate.add(event, place)
        added = time.thread_time()
        making += made - mark
        adding += added - made
        candidate.end_group(group[-1][1])
        if begin % (rows // 200 // GROUP * GROUP or GROUP) == 0:
            sample += [event for event, _ in group[:100]]
            peak = max(peak, anonymous_megabytes() - before)
    filled = time.perf_counter() - started
    candidate.settle()
    cpu = time.process_time() - cpu_started - making
    random.Random(2).shuffle(sample)
    hits = [event.uuid for event in sample[:LOOK_UPS]]
    misses = [f"{uuid[:8]}-0000-0000-0000-{uuid[24:]}" for uuid in hits]
    middle = sorted(sample, key=lambda event: event.at)[len(sample) // 2]
    position = Position(middle.at, middle.uuid)
    result = {
        "rows/s": rows / (filled - making),
        "add, us": adding / rows * 1e6,
        "CPU in all, us a row": cpu / rows * 1e6,
        "miss, us": microseconds(candidate.find, misses),
        "hit, us": microseconds(candidate.find, hits),
        "first page by system, ms": milliseconds(candidate, Query(smrtlink_id=SYSTEMS[7])),
        "middle page by system, ms": milliseconds(candidate, Query(smrtlink_id=SYSTEMS[7], after=position)),
        "middle page by type, ms": milliseconds(candidate, Query(event_type_id="sl_job_metrics", after=position)),
        "middle page by time, ms": milliseconds(candidate, Query(after=position)),
        "bytes a row": size_of(directory) / rows,
        "anonymous memory, MB, peak": peak,
    }
    if isinstance(candidate, Ours):
        result["runs"] = candidate.index.statistics().runs
        candidate.index.close()
        start = time.perf_counter()
        again = Index(directory / "index", disk=Disk())
        again.open()
        result["open, ms"] = (time.perf_counter() - start) * 1e3
        again.close()
    return result


def main() -> None:
    """Measure all, or one in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--directory", type=Path, default=None, help="where to write; a temporary directory by default")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        directory = Path(tempfile.mkdtemp(dir=arguments.directory))
        try:
            print(json.dumps(measure(arguments.only[0], arguments.rows, directory)), flush=True)
        finally:
            shutil.rmtree(directory)
        os._exit(0)
    for name in arguments.only:
        needed = CANDIDATES[name][1]
        if needed and importlib.util.find_spec(needed) is None:
            print(f"{name}: {needed} is not installed")
            continue
        command = [
            sys.executable,
            "-m",
            "bench.index_candidates",
            "--here",
            "--rows",
            str(arguments.rows),
            "--only",
            name,
        ]
        if arguments.directory:
            command += ["--directory", str(arguments.directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name} failed:\n{done.stderr}")
            continue
        print(f"{name}, {arguments.rows:,} rows")
        for label, value in json.loads(done.stdout).items():
            print(f"    {label:30} {value:12,.3f}")


if __name__ == "__main__":
    main()
