"""The server, killed with SIGKILL at one step of the way that a bundle goes; the environment says at which."""

import os
import signal
from collections.abc import Callable
from typing import Any

from backends.bundles import FileBundles
from backends.bundles.incoming import Incoming
from backends.bundles.objects import ObjectBundles
from backends.disk import Disk
from backends.filesystem import FilesystemStore
from eventserver.cli import main


def die(*_: Any, **__: Any) -> Any:
    """End this process as a kill from outside does."""
    os.kill(os.getpid(), signal.SIGKILL)


def only_for_bundles(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a system call kill where it is made for an archive."""

    def maybe(self: Disk, path: Any, *more: Any) -> Any:
        if "files" in str(path):
            die()
        return method(self, path, *more)

    return maybe


def dying_after(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a coroutine function kill when it has done its work."""

    async def dying(*arguments: Any, **named: Any) -> Any:
        await method(*arguments, **named)
        die()

    return dying


OBJECT_STEPS: dict[str, Callable[[], None]] = {
    "before the settling of objects": lambda: setattr(ObjectBundles, "settle", die),
}
STEPS: dict[str, Callable[[], None]] = {
    "while it arrives": lambda: setattr(Incoming, "_append", die),
    "before the sync": lambda: setattr(Incoming, "sync", die),
    "before the mark": lambda: setattr(Disk, "create", _second(Disk.create)),
    "before the rename": lambda: setattr(Disk, "rename", only_for_bundles(Disk.rename)),
    "before the directory's sync": lambda: setattr(Disk, "sync_directory", only_for_bundles(Disk.sync_directory)),
    "before the event": lambda: setattr(FilesystemStore, "put", die),
    "behind the event": lambda: setattr(FilesystemStore, "put", dying_after(FilesystemStore.put)),
    "before the settling": lambda: setattr(FileBundles, "settle", die),
    "behind the settling": lambda: setattr(FileBundles, "settle", dying_after(FileBundles.settle)),
}


def _second(method: Callable[..., Any]) -> Callable[..., Any]:
    def maybe(self: Disk, path: Any) -> Any:
        if str(path).endswith(".pending"):
            die()
        return method(self, path)

    return maybe


if __name__ == "__main__":
    (STEPS | OBJECT_STEPS)[os.environ["KILL_AT"]]()
    main()
