"""The index's own thread: it packs full memory tables, writes them as runs, and merges runs.

Each step takes a few milliseconds, most of them in numpy or in the kernel without the interpreter's lock, and the
thread has a lower priority than the event loop's where the system allows that. Packing comes first; writing and merging
take turns, the smallest runs first: so a merge of millions of rows holds nothing up, and a flood of events does not
pile up runs.
"""

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final

from backends.disk import Disk
from backends.filesystem.manifest import FILE_NAME, Manifest, write_manifest
from backends.filesystem.run import Run, RunDescription, open_run
from backends.filesystem.run_file import RunFile, pack_run
from backends.filesystem.snapshot import SharedSnapshot
from backends.log import LogPosition

RUNS_TO_MERGE: Final = 4
RUN_SUFFIX: Final = ".run"
_NICENESS: Final = 10
_MERGE_STEPS: Final = 64
"""Steps of merges after each run that was written: what a run costs until it is part of one of ten million rows."""
_FIRST_DELAY_SECONDS: Final = 0.5
_LAST_DELAY_SECONDS: Final = 30.0
_DONE: Final = object()
_LOGGER: Final = logging.getLogger(__name__)


class Maintenance:
    """Writes and merges runs; owns the directory's files.

    Args:
        directory: of the index.
        disk: the system calls.
        shared: the snapshot that it keeps up.
        manifest: what was read, or a new one; its runs are in the snapshot.
        event_types: returns the types known so far, in the order of their numbers.
        memory_rows: about the size of the smallest runs.

    """

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk,
        shared: SharedSnapshot,
        manifest: Manifest,
        event_types: Callable[[], list[tuple[str, int]]],
        memory_rows: int,
    ) -> None:
        self.problem: str | None = None
        """Why the last attempt to write failed, in plain words; None when it did not."""
        self.error: OSError | None = None
        """The error of the last attempt that failed."""
        self.failures = 0
        self.flushes = 0
        self.merges = 0
        self._directory = directory
        self._disk = disk
        self._shared = shared
        self._manifest = manifest
        self._event_types = event_types
        self._memory_rows = memory_rows
        self._positions: list[LogPosition] = []
        self._merging: dict[int, Generator[None, None, None]] = {}
        self._writing: Generator[None, None, None] | None = None
        self._merges_first = 0
        self._unfinished: set[str] = set()
        self._next_number = 1 + max((int(Path(run.name).stem) for run in manifest.runs), default=0)
        self._delay = 0.0
        self._retry_at = 0.0
        self._uncertain = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._last_position: LogPosition | None = None
        self._thread: threading.Thread | None = None

    @property
    def complete_up_to(self) -> LogPosition:
        """Everything before this position is in files that the manifest names."""
        return self._manifest.complete_up_to

    def start(self) -> None:
        """Remove what the manifest does not name, and start the thread."""
        try:
            # The manifest may not be durable yet: until it is, what only the one before it names is no leftover.
            self._disk.sync_directory(self._directory)
        except OSError as error:
            self.problem = f"the index's directory can't be synced: {error}"
        else:
            self._remove_leftovers()
        self._start_thread()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Tell the thread that there is work."""
        self._wake.set()

    def retry(self) -> None:
        """Try again at once what failed."""
        self._retry_at = 0.0
        self._wake.set()

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread, in the middle of what it does; tell whether it ended in so many seconds. Idempotent."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
            self._thread = None
        return True

    def finish(self, position: LogPosition, timeout: float | None = None) -> bool:
        """Write all that is frozen or packed, and end the thread. A merge that is under way is given up.

        Args:
            position: everything before it was added.
            timeout: as of ``stop``.

        """
        self._last_position = position
        if self._thread is None:
            self._write_rest(position)
        return self.stop(timeout)

    def _write_rest(self, position: LogPosition) -> None:
        try:
            self._give_up()
            self._delay = self._retry_at = 0.0
            while self._step(merging=False):
                pass
            if position > self._manifest.complete_up_to:
                self._commit([run.description for run in self._shared.current.written], position)
            self._remove_leftovers()
        except OSError as error:
            self.problem = f"the index was not written to its end: {error}"

    def _run(self) -> None:
        if sys.platform == "linux":
            # On Linux a thread has a priority of its own.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._closing.is_set():
            try:
                busy = self.work()
            except Exception as error:
                _LOGGER.exception("the index's thread failed; it will try again")
                busy = self._fail(f"the index can't be kept up: {error!r}")
                self._closing.wait(self._delay)
            if not busy:
                rest = self._retry_at - time.monotonic()
                self._wake.wait(rest if rest > 0 else None)
                self._wake.clear()
        if self._last_position is not None:
            self._write_rest(self._last_position)

    def work(self) -> bool:
        """Do a little of the most urgent work; tell whether there was any that could be done."""
        try:
            return self._step(merging=True)
        except OSError as error:
            self.error = error
            return self._fail(f"the index can't be written: {error}")

    def _fail(self, problem: str) -> bool:
        self.problem = problem
        self.failures += 1
        self._delay = min(max(_FIRST_DELAY_SECONDS, self._delay * 2), _LAST_DELAY_SECONDS)
        self._retry_at = time.monotonic() + self._delay
        self._give_up()
        return False

    def _give_up(self) -> None:
        """Remove what is half written; it is begun anew."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        while self._merging:
            self._merging.popitem()[1].close()

    def _step(self, *, merging: bool) -> bool:
        now = self._shared.current
        if now.frozen:
            table = now.frozen[0]
            run = pack_run(table)
            self._positions.append(table.complete_up_to)
            self._shared.replace_frozen(table, run)
            return True
        if time.monotonic() < self._retry_at:
            return False
        if merging and self._merges_first and self._step_merge(now.written):
            self._merges_first -= 1
            return True
        if now.packed and self._writing is None:
            self._writing = self._write(now.packed[0])
        if self._writing is not None:
            if next(self._writing, _DONE) is _DONE:
                self._writing = None
                self._merges_first = _MERGE_STEPS
            return True
        return merging and self._step_merge(now.written)

    def _step_merge(self, written: Sequence[Run]) -> bool:
        self._begin_merges(written)
        if not self._merging:
            return False
        level = min(self._merging)
        if next(self._merging[level], _DONE) is _DONE:
            del self._merging[level]
        return True

    def _begin_merges(self, written: Sequence[Run]) -> None:
        levels: dict[int, list[Run]] = {}
        for run in written:
            levels.setdefault(self._level_of(run), []).append(run)
        for level, runs in levels.items():
            if len(runs) >= RUNS_TO_MERGE and level not in self._merging:
                self._merging[level] = self._merge(runs[:RUNS_TO_MERGE])

    def _level_of(self, run: Run) -> int:
        # Four runs of a level make one of the next, also when a few rows were the same.
        return max(0, math.floor(math.log(max(1.0, run.row_count * 1.3 / self._memory_rows), RUNS_TO_MERGE)))

    def _write(self, packed: Run) -> Generator[None, None, None]:
        run = yield from self._write_file(lambda file: file.write_run(packed))
        written = [other.description for other in self._shared.current.written]
        self._commit([*written, run.description], self._positions[0])
        del self._positions[0]
        self._shared.replace_packed(packed, run)
        self.flushes += 1
        self._remove_leftovers()

    def _merge(self, runs: list[Run]) -> Generator[None, None, None]:
        run = yield from self._write_file(lambda file: file.write_merged(runs))
        kept = [other.description for other in self._shared.current.written if other not in runs]
        self._commit([*kept, run.description], self._manifest.complete_up_to)
        self._shared.replace_written(runs, [run])
        self.merges += 1
        self._remove_leftovers()

    def _write_file(self, write: Callable[[RunFile], Iterator[None]]) -> Generator[None, None, Run]:
        name = f"{self._next_number:08}{RUN_SUFFIX}"
        self._next_number += 1
        self._unfinished.add(name)
        try:
            if not self._disk.is_directory(self._directory):  # there was no room for it, or somebody has removed it
                self._disk.make_directory(self._directory)
            file = RunFile(self._disk, self._directory / name)
            try:
                yield from write(file)
                return open_run(self._disk, self._directory, file.finish())
            except BaseException:
                # No manifest names it yet: on a full disk its room is wanted at once.
                file.discard()
                raise
        finally:
            self._unfinished.discard(name)

    def _commit(self, runs: list[RunDescription], position: LogPosition) -> None:
        """Make these runs the index.

        When that fails, the old and the new manifest are both true, and no file that either names is removed before a
        later one was written.
        """
        manifest = self._manifest._replace(runs=runs, complete_up_to=position, event_types=self._event_types())
        self._uncertain = True
        write_manifest(self._disk, self._directory, manifest)
        self._uncertain = False
        self._manifest = manifest
        self.problem = None
        self._retry_at = self._delay = 0.0

    def _remove_leftovers(self) -> None:
        """Remove files that are neither in the manifest nor being written; what can't be is left for another time."""
        if self._uncertain:
            return
        keep = {run.name for run in self._manifest.runs} | self._unfinished | {FILE_NAME}
        try:
            for name in self._disk.list_directory(self._directory):
                if name not in keep:
                    self._disk.remove(self._directory / name)
        except OSError:
            _LOGGER.warning("files that the index needs no more could not be removed", exc_info=True)
