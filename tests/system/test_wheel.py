"""The wheel: installed elsewhere it is the whole server, with its schemas."""

import json
import os
import site
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.system.server_process import PROJECT, clean_environment, free_port

EVENT = (
    b'{"smrtlinkId": "2319db24-f46e-11e6-a35c-3c15c2cc8f88", "uuid": "83927d00-f46c-11e6-9f9b-3c15c2cc8f88",'
    b' "createdAt": "2017-02-16T08:36:21.082-08:00", "eventTypeId": "smrtlink_job_change_state", "eventTypeVersion": 1,'
    b' "message": {"jobId": 1234, "jobTypeId": "pbsmrtpipe", "state": "SUCCCESSFUL"}}'
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tree, built without the network."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, check=True, cwd=PROJECT, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``eventserver``, installed in an environment that has what it depends on, but not the tree."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        python,
        wheel,
    ]
    subprocess.run(install, check=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    for entry in Path(site.getsitepackages()[0]).iterdir():
        # What the wheel brought itself, and what leads to the tree, is not taken over.
        if (
            entry.suffix != ".pth"
            and "smrtlink_event_server" not in entry.name
            and not (packages / entry.name).exists()
        ):
            (packages / entry.name).symlink_to(entry)
    return environment / "bin" / "eventserver"


@pytest.fixture
def url(command: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the installed server, started in an empty directory outside of the tree."""
    port = free_port()
    environment = clean_environment(SMRTFLOW_SERVER_PORT=str(port), SMRTFLOW_SERVER_HOST="127.0.0.1")
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen([command, "serve"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr
        for line in process.stderr:
            if b"serving" in line:
                break
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_wheel_has_the_packages_and_the_schemas_and_nothing_else(wheel: Path) -> None:
    """No tests, no benchmarks; each schema of the tree, with its examples."""
    names = ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"backends", "eventserver"}
    schemas = {name.removeprefix("eventserver/_schemas/") for name in names if "/_schemas/" in name}
    assert schemas == {str(path.relative_to(PROJECT / "schemas")) for path in (PROJECT / "schemas").rglob("*.json")}


def test_the_installed_server_takes_an_event(url: str, tmp_path: Path) -> None:
    """201 for the published example, with its data where it was started."""
    request = urllib.request.Request(f"{url}/api/v1/events", EVENT, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 201
        assert response.read() == EVENT
    assert (tmp_path / "events").is_dir()


def test_the_installed_server_serves_its_own_schemas(url: str) -> None:
    """Those of the wheel: the tree is not there."""
    with urllib.request.urlopen(f"{url}/api/v1/event-types", timeout=30) as response:
        assert "smrtlink_job_change_state" in json.dumps(json.load(response))


def test_nothing_of_the_tree_is_used(command: Path, tmp_path: Path) -> None:
    """The packages are imported from where the wheel was installed."""
    program = "import backends, eventserver; print(backends.__file__); print(eventserver.__file__)"
    python = command.with_name("python")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    output = subprocess.run(
        [python, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path, env=environment
    ).stdout
    assert all(line.startswith(str(command.parent.parent)) for line in output.splitlines())
