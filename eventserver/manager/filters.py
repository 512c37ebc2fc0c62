"""Which events a listener takes: by type, which is looked up in the request, and by condition, which is not."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from backends.base import Event
from eventserver.manager.conditions import Condition
from eventserver.manager.event_values import read_value

Taker = TypeVar("Taker")


class Filter:
    """A filter of one listener.

    Args:
        event_types: globs on the event type's id: ``*`` for any text, ``?`` for any character.
        versions: of the event type; none means any.
        condition: in CEL, or None.

    """

    def __init__(self, event_types: Sequence[str], versions: Sequence[int], condition: str | None) -> None:
        self.condition = None if condition is None else Condition(condition)
        self._event_types = event_types
        self._versions = frozenset(versions)

    def takes_type(self, event_type_id: str, event_type_version: int) -> bool:
        """Tell whether events of a type are taken, whatever the condition says."""
        fits = not self._versions or event_type_version in self._versions
        return fits and self._pattern.fullmatch(event_type_id) is not None

    def takes(self, event: Event) -> bool:
        """Tell whether an event is taken; parses it where there is a condition."""
        if not self.takes_type(event.event_type_id, event.event_type_version):
            return False
        return self.condition is None or self.condition.holds_for(read_value(event))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        globs = (
            "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in glob) for glob in self._event_types
        )
        return re.compile("|".join(globs), re.DOTALL)


class TypeIndex(dict[tuple[str, int], tuple[Taker, ...]], Generic[Taker]):
    """For an event type, id and version, who takes it: one look-up in a dictionary, filled when a type is first seen.

    Only types that a schema has let in are asked for, so it stays small.
    """

    def __init__(self, takers: Iterable[tuple[Filter, Taker]]) -> None:
        super().__init__()
        self._takers = list(takers)

    def __missing__(self, event_type: tuple[str, int]) -> tuple[Taker, ...]:
        """Find out who takes a type."""
        self[event_type] = found = tuple(taker for filter_, taker in self._takers if filter_.takes_type(*event_type))
        return found
