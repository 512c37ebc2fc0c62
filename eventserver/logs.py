"""Structured logs: for people on a terminal, as JSON elsewhere. An accepted request has no line."""

import logging
import sys
from typing import Final, Literal

import structlog
from structlog.typing import Processor

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_TALKATIVE: Final = ("elastic_transport",)
"""Log each request that they make, and each that fails: the store says once what that means."""


def log_through_standard_library() -> None:
    """Let a program that has not configured structlog get what is logged from the standard library's logging.

    By itself structlog would write to the program's standard output, among its own words.
    """
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.format_exc_info,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )


def configure_logs(
    form: Literal["auto", "console", "json"], level: Literal["debug", "info", "warning", "error"]
) -> None:
    """Set structlog and the standard library's logging up, once, at the start of a command.

    Both go to standard error, in one form: libraries log through the standard library.

    Args:
        form: ``auto`` means for people on a terminal and JSON elsewhere.
        level: the least level that is logged.

    """
    for_people = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if for_people
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.ERROR))
