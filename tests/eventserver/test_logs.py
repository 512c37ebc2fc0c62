"""Logs: one form for ours and for those of libraries."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from eventserver.logs import configure_logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Leave the logging of the other tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what went to standard error; nothing else was written."""
    out, err = capsys.readouterr()
    assert not out
    return err.splitlines()


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is a JSON object with event, level and time, whoever logged it, whatever is in it."""
    configure_logs("json", "info")
    structlog.get_logger("eventserver").info("refused", path="/a\nb", detail='say "ü"')
    logging.getLogger("aiohttp.server").error("it is %d", 7)
    ours, theirs = map(json.loads, lines_of(capsys))
    assert (ours["event"], ours["level"], ours["path"], ours["detail"]) == ("refused", "info", "/a\nb", 'say "ü"')
    assert (theirs["event"], theirs["level"]) == ("it is 7", "error")
    assert ours["timestamp"].endswith("Z")


def test_a_trace_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The trace of a defect stays within its line."""
    configure_logs("json", "info")
    structlog.get_logger("eventserver").error("defect", exc_info=ZeroDivisionError("no"))
    [line] = lines_of(capsys)
    assert json.loads(line)["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The console form is a line for people, without colours where there is no terminal."""
    configure_logs("console", "info")
    structlog.get_logger("eventserver").warning("configuration", detail="look")
    [line] = lines_of(capsys)
    assert "configuration" in line
    assert "detail=look" in line
    assert "\x1b" not in line


def test_auto_is_json_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody watches, machines read."""
    configure_logs("auto", "info")
    structlog.get_logger("eventserver").info("serving")
    assert json.loads(lines_of(capsys)[0])["event"] == "serving"


def test_level(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below the level is not logged, by us or by libraries."""
    configure_logs("json", "warning")
    structlog.get_logger("eventserver").info("serving")
    logging.getLogger("backends").info("read again")
    assert lines_of(capsys) == []


def test_a_library_that_logs_each_request_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """What a store's failing requests mean, the store says once."""
    configure_logs("json", "info")
    logging.getLogger("elastic_transport.transport").info("POST http://127.0.0.1:9200/_bulk [status:200]")
    logging.getLogger("elastic_transport.node_pool").warning("a node has failed")
    assert lines_of(capsys) == []
