"""Files and directories of the fake disk: what the page cache shows, the device holds, and a power cut leaves."""

from dataclasses import dataclass, field
from random import Random

PAGE = 64


@dataclass
class File:
    """A file: its bytes twice, and which pages differ because they wait to be written."""

    cache: bytearray = field(default_factory=bytearray)
    device: bytearray = field(default_factory=bytearray)
    """What the device holds: pages of zeros where none was written. Never shorter than what was synced."""
    dirty: set[int] = field(default_factory=set)
    synced_length: int = 0

    def append(self, data: bytes) -> None:
        """Write at the end, into the cache."""
        start = len(self.cache)
        self.cache += data
        if data:
            self.dirty.update(range(start // PAGE, (len(self.cache) - 1) // PAGE + 1))

    def write_back(self, page: int, length: int = PAGE) -> None:
        """Let a page, or the first bytes of it, reach the device."""
        data = self.cache[page * PAGE : page * PAGE + length]
        self.device.extend(bytes(max(0, page * PAGE + len(data) - len(self.device))))
        self.device[page * PAGE : page * PAGE + len(data)] = data

    def sync(self) -> None:
        """Write what is dirty to the device, and make the length durable."""
        for page in self.dirty:
            self.write_back(page)
        self.dirty.clear()
        self.device.extend(bytes(len(self.cache) - len(self.device)))
        self.synced_length = len(self.cache)

    def fail_to_sync(self, random: Random) -> None:
        """Mark all pages clean, though some did not reach the device."""
        for page in self.dirty:
            if random.random() < 0.5:
                self.write_back(page)
        self.dirty.clear()

    def forget_clean_pages(self) -> None:
        """Read the clean pages from the device again."""
        clean = bytearray(self.device[: len(self.cache)].ljust(len(self.cache), b"\0"))
        for page in self.dirty:
            clean[page * PAGE : (page + 1) * PAGE] = self.cache[page * PAGE : (page + 1) * PAGE]
        self.cache = clean

    def after_power_cut(self, random: Random) -> "File":
        """Return what is left."""
        fate = random.choice(("all", "none", "some", "some"))
        length = {"all": len(self.cache), "none": self.synced_length}.get(
            fate, random.randint(self.synced_length, len(self.cache))
        )
        for page in sorted(self.dirty):
            kept = {"all": PAGE, "none": 0}.get(fate, random.choice((0, PAGE, random.randrange(PAGE))))
            if kept:
                self.write_back(page, kept)
        data = self.device[:length].ljust(length, b"\0")
        return File(bytearray(data), bytearray(data), set(), length)


@dataclass
class Directory:
    """Names: those that are seen, those that are durable, and the changes in between."""

    names: dict[str, "File | Directory"] = field(default_factory=dict)
    synced: dict[str, "File | Directory"] = field(default_factory=dict)
    unsynced: list[dict[str, "File | Directory | None"]] = field(default_factory=list)
    """Each a change that happens whole or not at all."""

    def change(self, names: dict[str, "File | Directory | None"]) -> None:
        """Make, rename or remove names."""
        self.unsynced.append(names)
        _apply(self.names, names)

    def sync(self) -> None:
        """Make the names durable."""
        self.synced = dict(self.names)
        self.unsynced.clear()

    def after_power_cut(self, random: Random) -> "Directory":
        """Return what is left, with all that lies in it."""
        chance = random.choice((0.0, 0.5, 1.0))
        names = dict(self.synced)
        for change in self.unsynced:
            if random.random() < chance:
                _apply(names, change)
        left = {name: node.after_power_cut(random) for name, node in names.items()}
        return Directory(left, dict(left))


def _apply(
    names: dict[str, "File | Directory"],
    change: dict[str, "File | Directory | None"],
) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
