"""Growth to ten million events: as fast, as quick to start and as small as when it was empty."""

from collections.abc import Callable

import pytest

from bench import report, scenarios


@pytest.mark.soak
def test_ten_million_events_change_nothing(soak_result: Callable[[str], None]) -> None:
    """Rates, starts and memory at ten million events are what was promised."""
    rows = report.rows({"growth": scenarios.growth([0, 1, 10], rounds=5, seconds=4.0)})
    for title, figure, promise, met in rows:
        soak_result(f"{title}: {figure} (promised: {promise}; met: {met})")
    assert [row for row in rows if row[3] != "yes"] == []
