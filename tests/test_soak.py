"""What the soak writes into the documentation."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts.soak import PARTS, Outcome, Part, read_report, write

PART = Part(1, (), "{tests} passed")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page with a place for the soak, where nothing has been run yet."""
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- soak -->\nNot run yet.\n<!-- end of soak -->\nafter\n")
    return path


def rows(page: Path) -> dict[str, str]:
    """Return the result of each part."""
    lines = page.read_text().splitlines()[4:-2]
    return {cells[1]: cells[3] for cells in ([cell.strip() for cell in line.split("|")] for line in lines)}


def test_each_part_has_its_own_row(page: Path) -> None:
    """A part that is run again replaces its row; the others stay as they are."""
    write("kill", Outcome(passed=True, figure="first"), "1", page)
    write("models", Outcome(passed=True, figure="a|b"), "2", page)
    write("kill", Outcome(passed=False, figure="second"), "3", page)
    assert list(rows(page)) == list(PARTS)
    assert rows(page) == dict.fromkeys(PARTS, "") | {
        "kill": "**failed**: second (seed 3)",
        "models": "a/b (seed 2)",
    }
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")


def report(folder: Path, *cases: str) -> Path:
    """Return what pytest would have written about some tests."""
    path = folder / "report.xml"
    path.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    ET.parse(path)
    return path


PASSED = "<testcase classname='a' name='b'/>"
FIGURE = "<testcase classname='a' name='b'><properties><property name='figure' value='7'/></properties></testcase>"


def test_figures_are_those_of_the_tests(tmp_path: Path) -> None:
    """What they tell, or else how many passed."""
    assert read_report(report(tmp_path, PASSED, FIGURE), 0, PART) == Outcome(passed=True, figure="7")
    assert read_report(report(tmp_path, PASSED, PASSED), 0, PART) == Outcome(passed=True, figure="2 passed")


@pytest.mark.parametrize(
    ("cases", "code", "figure"),
    [
        (["<testcase classname='a' name='b'><failure/></testcase>", FIGURE], 1, "1 failed, 0 skipped: a.b<br>7"),
        (["<testcase classname='a' name='b'><error/></testcase>"], 1, "1 failed, 0 skipped: a.b"),
        (["<testcase classname='a' name='b'><skipped/></testcase>", FIGURE], 0, "0 failed, 1 skipped: <br>7"),
        ([PASSED], 2, "0 failed, 0 skipped: "),
        ([], 0, "0 failed, 0 skipped: "),
    ],
)
def test_only_what_has_been_run_has_passed(tmp_path: Path, cases: list[str], code: int, figure: str) -> None:
    """A failure, a skipped test, an interruption and no test at all are no success."""
    assert read_report(report(tmp_path, *cases), code, PART) == Outcome(passed=False, figure=figure)
    assert not read_report(tmp_path / "missing", 0, PART).passed
