"""The cyclic garbage collector, and when it is in the way."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Paused:
    count = 0
    was_enabled = False


_paused = _Paused()
_lock = threading.Lock()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from running, in all threads, while a large value comes into being.

    Half a million nested lists fit into 1 MiB of JSON. The collector would run again and again over what is there
    already, which makes reading it three to five times slower, with all threads blocked meanwhile.
    """
    _pause(1)
    try:
        yield
    finally:
        _pause(-1)


def _pause(change: int) -> None:
    """Count who wants it paused: the first pauses it, the last lets it go on if it ran before."""
    with _lock:
        if not _paused.count:
            _paused.was_enabled = gc.isenabled()
            gc.disable()
        _paused.count += change
        if not _paused.count and _paused.was_enabled:
            gc.enable()
