"""A webhook receiver beside a test: started, asked what it has taken, killed."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.server_process import PROJECT


@contextmanager
def failing_receiver(folder: Path, share: float) -> Iterator[tuple[int, Path]]:
    """Start a receiver that fails that share of its posts; returns its port and the file of what it has taken."""
    port_file, taken = folder / "port", folder / "taken"
    command = [sys.executable, str(PROJECT / "tests/system/webhook_receiver.py"), port_file, taken, str(share)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20
        while not (port_file.exists() and port_file.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield int(port_file.read_text()), taken
    finally:
        process.kill()
        process.wait()


def wait_for_all(taken: Path, wanted: set[str], seconds: float = 60) -> Counter[str]:
    """Wait until all of these were taken; return how often each was."""
    deadline = time.monotonic() + seconds
    while True:
        found = Counter(taken.read_text().split())
        missing = wanted - set(found)
        if not missing:
            return found
        assert time.monotonic() < deadline, f"{len(missing)} of {len(wanted)} never arrived: {list(missing)[:3]}"
        time.sleep(0.1)
