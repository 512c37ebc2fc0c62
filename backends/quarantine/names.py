"""Names as small numbers, so that a column of names takes two bytes an entry."""

from collections.abc import Iterable
from typing import Final

OTHER: Final = "(other)"
"""What a name is called when too many others are in use."""
_MAX_NAMES: Final = 65_535
_RECYCLED_SHARE: Final = 16


class Names:
    """Names and their numbers, 1 to 65,535; 0 stands for all that found no number (``OTHER``)."""

    def __init__(self, max_names: int = _MAX_NAMES) -> None:
        """Begin with none."""
        self.uses_ended = 0
        """How many uses have ended since names were recycled; the user counts them."""
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

    def should_recycle(self, wanted: Iterable[str | None]) -> bool:
        """Tell whether some of these names find no number, and it is likely that others are no longer in use.

        Finding that out takes 10 ms with a million entries, so it is not done for each name that comes.
        """
        if self.uses_ended * _RECYCLED_SHARE < self._max_names or not self.uses_ended:
            return False
        return len(set(wanted) - self._numbers.keys()) > self._max_names - len(self._numbers)

    def intern(self, name: str | None) -> int:
        """Return the number of a name, giving it one if it has none; 0 when there is none left."""
        number = self._numbers.get(name)
        if number is not None:
            return number
        if self._free:
            number = self._free.pop()
            self._names[number] = name
        elif len(self._names) > self._max_names:
            return 0
        else:
            number = len(self._names)
            self._names.append(name)
        self._numbers[name] = number
        return number

    def recycle(self, used: Iterable[int]) -> None:
        """Take the numbers back that are not in use."""
        self.uses_ended = 0
        keep = set(used)
        self._free = [number for number in range(1, len(self._names)) if number not in keep]
        for number in self._free:
            self._numbers.pop(self._names[number], None)
