"""The cyclic garbage collector, and when it is in the way."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from running, in all threads, while a large value comes into being.

    Half a million nested lists fit into 1 MiB of JSON. The collector would run again and again over what is there
    already, which makes reading it three to five times slower, with all threads blocked meanwhile.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
