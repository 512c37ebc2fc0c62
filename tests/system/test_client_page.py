"""The Python blocks of the page for clients run as they stand, against a server."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.server_process import PROJECT, ServerProcess, clean_environment

PAGE = (PROJECT / "docs/how-to/send-from-a-program.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(("number", "expected"), [(0, "stored"), (1, "sl_test_event"), (2, "delivered: True")])
def test_a_block_does_what_the_page_says(server: ServerProcess, tmp_path: Path, number: int, expected: str) -> None:
    """What is shown works."""
    assert len(BLOCKS) == 3
    code = BLOCKS[number].replace("http://localhost:8070", f"http://127.0.0.1:{server.port}")

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
