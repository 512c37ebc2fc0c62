"""Run the tests: all on this Python; on the other supported one, where it is found, all but the slow ones.

Of those that need a real server of another kind, the other Python runs a few (``every_python``).

``make test`` calls it. Arguments go to pytest, which has a process more than there are cores, four at most (``-n 0``:
one).
With ``CI=true`` both Pythons are required.
"""

import os
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.13")
PROCESSES = (f"--numprocesses={min(4, (os.cpu_count() or 1) + 1)}", "--dist=loadgroup")
"""Most tests wait, for servers and for disks; those that ask for one real server stay in one process."""


def version_of(python: str) -> str | None:
    """Return the minor version of an interpreter, such as ``3.13``; None when it does not run."""
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def find_python(version: str) -> str | None:
    """Return an interpreter of this minor version that really runs, or None.

    A name on PATH may be a version manager's shim for a version that is not chosen, so each candidate is tried.
    """
    candidates = [f"python{version}"]
    # pyenv keeps its versions side by side; this Python may be one of them.
    for directory in (Path.home() / ".pyenv" / "versions", Path(sys.base_prefix).parent):
        candidates += sorted(map(str, directory.glob(f"{version}.*/bin/python")), reverse=True)
    command = ["uv", "python", "find", "--no-project", "--system", version]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
    except OSError:
        found = ""
    candidates += [found] if found else []
    return next((candidate for candidate in candidates if version_of(candidate) == version), None)


def run_pytest(python: str, title: str, arguments: list[str]) -> int:
    """Run pytest under an interpreter, after a line that says what runs where; 5, no test selected, is a failure."""
    version = version_of(python)
    print(f"\n=== Python {version}: {title}", flush=True)
    return subprocess.run([python, "-m", "pytest", *PROCESSES, *arguments], check=False).returncode


def main() -> int:
    """Run what is to be run; the whole suite comes last, so that its line is the last one."""
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    other = next(version for version in reversed(SUPPORTED) if version != mine)
    arguments = sys.argv[1:]
    failures = 0
    found = find_python(other)
    if found is None:
        message = f"Python {other} was not found (on PATH, under ~/.pyenv/versions, by uv): not tested on it"
        if os.environ.get("CI") == "true":
            sys.exit(f"CI tests on {' and '.join(SUPPORTED)}. {message}")
        print(f"=== {message}", flush=True)
    else:
        environment = f".venv-{other}"
        subprocess.run(["make", "--no-print-directory", "setup", f"VENV={environment}", f"PYTHON={found}"], check=True)
        marks = ["-m", "not slow and not soak and (every_python or not server)"]
        title = "all tests but the slow ones"
        failures += run_pytest(f"{environment}/bin/python", title, [*marks, *arguments]) != 0
    failures += run_pytest(sys.executable, "all tests", arguments) != 0
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
