"""The filters of lists, as options: the same as those of the API."""

from collections.abc import Callable
from functools import wraps

import click

from backends.base import Query
from eventserver.instant import parse_instant
from eventserver.message import is_uuid


class UuidType(click.ParamType[str]):
    """A uuid as events have it: 8-4-4-4-12 hexadecimal digits, in either case; read as lower case."""

    name = "uuid"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a value and return it in lower case."""
        if not is_uuid(value):
            self.fail(f"{value!r} is no uuid, such as 83927d00-f46c-11e6-9f9b-3c15c2cc8f88", param, ctx)
        return value.lower()


class InstantType(click.ParamType[str]):
    """A time with an offset, read as an instant."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a value and return the instant in the form that lists sort by."""
        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the filters as options, and the query that they make as its argument ``query``."""

    @click.option("--system", type=UuidType(), help="Only events of this SMRT Link system.")
    @click.option("--type", "event_type_id", help="Only events of this type (eventTypeId).")
    @click.option("--type-version", type=click.IntRange(1, 2**31 - 1), help="Only this version of the type.")
    @click.option("--from", "from_at", type=InstantType(), help="Only events created at this time or later.")
    @click.option("--to", "to_at", type=InstantType(), help="Only events created before this time.")
    @click.option("--order", type=click.Choice(["asc", "desc"]), default="asc", help="Oldest (asc) or newest first.")
    @wraps(command)
    def run(
        *arguments: object,
        system: str | None,
        event_type_id: str | None,
        type_version: int | None,
        from_at: str | None,
        to_at: str | None,
        order: str,
        **options: object,
    ) -> None:
        if type_version is not None and event_type_id is None:
            msg = "--type-version needs --type"
            raise click.UsageError(msg)
        query = Query(system, event_type_id, type_version, from_at, to_at, descending=order == "desc")
        command(*arguments, query=query, **options)

    return run
