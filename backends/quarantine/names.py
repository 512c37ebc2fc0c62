"""Names as small numbers, so that a column of names takes two bytes an entry."""

from collections.abc import Iterable
from typing import Final

OTHER: Final = "(other)"
"""What a name is called when too many others are in use."""
_MAX_NAMES: Final = 65_535


class Names:
    """Names and their numbers, 1 to 65,535; 0 stands for all that found no number (``OTHER``)."""

    def __init__(self, max_names: int = _MAX_NAMES) -> None:
        """Begin with none."""
        self._max_names = max_names
        self._names: list[str | None] = [OTHER]
        self._numbers: dict[str | None, int] = {}
        self._free: list[int] = []

    def find(self, name: str) -> int | None:
        """Return the number of a name, if it has one."""
        return 0 if name == OTHER else self._numbers.get(name)

    def name(self, number: int) -> str | None:
        """Return the name that has a number."""
        return self._names[number]

    def is_full_for(self, name: str | None) -> bool:
        """Tell whether a name that is not known would find no number."""
        return name not in self._numbers and not self._free and len(self._names) > self._max_names

    def intern(self, name: str | None) -> int:
        """Return the number of a name, giving it one if it has none; 0 when there is none left."""
        number = self._numbers.get(name)
        if number is not None or self.is_full_for(name):
            return number or 0
        if self._free:
            number = self._free.pop()
            self._names[number] = name
        else:
            number = len(self._names)
            self._names.append(name)
        self._numbers[name] = number
        return number

    def recycle(self, used: Iterable[int]) -> None:
        """Take the numbers back that are not in use."""
        keep = set(used)
        self._free = [number for number in range(1, len(self._names)) if number not in keep]
        for number in self._free:
            self._numbers.pop(self._names[number], None)
