"""Where a store lies."""

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the store lies; not there yet."""
    return tmp_path / "root"
