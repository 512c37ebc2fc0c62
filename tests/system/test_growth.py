"""Growth to ten million events: as fast, as quick to start and as small as when it was empty."""

from collections.abc import Callable

import pytest

from bench import report, scenarios
from support.soak import SHARE, share_of


@pytest.mark.soak
def test_ten_million_events_change_nothing(soak_result: Callable[[str], None]) -> None:
    """Rates, starts and memory at ten million events are what was promised; a share of them shows only that it runs."""
    (scenarios.PROJECT / "var" / "bench").mkdir(parents=True, exist_ok=True)
    seconds = 4.0 if SHARE == 1 else 1.0
    figures = scenarios.growth([0, 1, 10], share_of(5), seconds, share_of(scenarios.MILLION))
    rows = report.rows({"growth": figures})
    soak_result(
        "<br>".join(f"{what}: {figure} (promised: {promise}; met: {met})" for what, figure, promise, met in rows)
    )
    if SHARE == 1:
        assert [row for row in rows if row[3] != "yes"] == []
