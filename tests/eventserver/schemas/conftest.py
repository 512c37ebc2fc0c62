"""What the tests of schemas share."""

from pathlib import Path

import pytest

from support.schema_directory import SchemaDirectory


@pytest.fixture
def directory(tmp_path: Path) -> SchemaDirectory:
    """Return an empty directory to write schemas into."""
    return SchemaDirectory(tmp_path / "source")
