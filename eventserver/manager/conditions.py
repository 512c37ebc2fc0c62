"""Conditions on events, in CEL (the Common Expression Language): ``message.state == "FAILED"``.

CEL has no loops, no input and no output; its regular expressions take linear time. What it has of iteration (``all``,
``exists``, ...) is allowed once in a condition, so that the time grows with the event's size and no faster.
ADR 0008 says why it is CEL.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import cel

NAMES: Final = ("uuid", "smrtlinkId", "createdAt", "eventTypeId", "eventTypeVersion", "dnsName", "message")
"""What a condition may speak of; ``dnsName`` is null where the event has none."""
LONGEST: Final = 2_000
_ITERATION: Final = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map|existsOne|transform\w+)\s*\(")
_BOUND: Final = re.compile(_ITERATION.pattern + r"\s*([A-Za-z_]\w*)\s*,(?:\s*([A-Za-z_]\w*)\s*,)?")
_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_SYNTAX: Final = re.compile(r"ERROR: <input>:1:([0-9]+): (.*)")


class InvalidCondition(ValueError):
    """It is no condition; the message says why, and what would be right."""


class Condition:
    """A compiled condition.

    Args:
        text: in CEL.

    Raises:
        InvalidCondition: it is none.

    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.errors = 0
        """How often it could not be evaluated, or gave no truth value."""
        self.last_error: str | None = None
        if len(text) > LONGEST:
            raise InvalidCondition(f"it is longer than {LONGEST} characters")
        bare = _TEXT.sub('""', text)
        if len(_ITERATION.findall(bare)) > 1:
            raise InvalidCondition("it may iterate (all, exists, filter, map, ...) only once")
        try:
            self._program = cel.compile(text)
            variables = set(self._program.variables()) - {name for names in _BOUND.findall(bare) for name in names}
        except Exception as error:  # noqa: BLE001 - whatever the library finds wrong
            raise InvalidCondition(_reason(error)) from None
        if unknown := sorted(variables - set(NAMES)):
            name = unknown[0]
            raise InvalidCondition(f"{name} is not known; did you mean message.{name}? Known are {', '.join(NAMES)}")

    def holds_for(self, event: Mapping[str, Any]) -> bool:
        """Tell whether it holds for an event.

        A key that the event does not have makes it false, as does whatever can't be compared; that is counted.

        Args:
            event: the value of the event as sent.

        """
        context = {name: event.get(name) for name in NAMES}
        context["smrtlinkId"] = event.get("smrtLinkId", event.get("smrtlinkId"))
        try:
            result = self._execute(context)
        except KeyError:
            return False
        except (KeyboardInterrupt, SystemExit, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of the library is no Exception
            self._count(f"{type(error).__name__}: {str(error)[:200]}")
            return False
        if not isinstance(result, bool):
            self._count(f"it gave {type(result).__name__}, and neither true nor false")
            return False
        return result

    def _execute(self, context: dict[str, Any]) -> Any:
        try:
            return self._program.execute(context)
        except (OverflowError, ValueError):
            # One number of more than 64 bits anywhere in the event, which need not be what is asked for.
            return self._program.execute({name: _within_range(value) for name, value in context.items()})

    def _count(self, error: str) -> None:
        self.errors += 1
        self.last_error = error


def _within_range(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _within_range(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_within_range(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def _reason(error: Exception) -> str:
    found = _SYNTAX.search(str(error))
    if found is not None:
        return f"character {found[1]}: {found[2].split(' expecting ')[0]}"
    return str(error).splitlines()[0][:300]
