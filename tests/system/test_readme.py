"""The README is true: each curl in it, run in order against a new server, answers what the line above it says."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

from support.archives import tgz
from tests.system.server_process import ServerProcess

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLE: Final = re.compile(r"^# (\d{3})\n(curl (?:(?!# \d{3}$|```$).*\n)+)", re.MULTILINE)
WITHOUT_EXAMPLE: Final = {
    "/api/v1/swagger",  # another name of openapi.json
    "/api/v1/docs/{asset}",  # parts of the page
    "/api/v1/quarantine/{id}",  # the id of an example can't be known
    "/api/v1/quarantine/{id}/replay",
    "/api/v1/listeners/{name}/dead-letters",  # there is no listener out of the box
    "/api/v1/listeners/{name}/dead-letters/retry",
    "/api/v1/listeners/{name}/replay",
    "/api/v1/files/{uuid}",  # nor can the uuid, which is made of the archive
    "/api/v1/files/{uuid}/contents",
    "/api/v1/files/{uuid}/contents/{path}",
}
STATUS: Final = re.compile(r"^HTTP/1\.1 (\d{3})", re.MULTILINE)


def test_each_curl_of_the_readme_answers_as_it_says(server: ServerProcess, tmp_path: Path) -> None:
    """Every example runs as it stands there, but for the port."""
    (tmp_path / "example.tgz").write_bytes(tgz())
    examples = EXAMPLE.findall(README)
    assert len(examples) == README.count("\ncurl ")
    for expected, command in examples:
        line = command.replace("localhost:8070", f"127.0.0.1:{server.port}").replace("curl -i", "curl -sS -i", 1)
        answer = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
        ).stdout
        found = STATUS.search(answer)
        assert found is not None, command
        assert found[1] == expected, f"{command}\n{answer[:2000]}"


def test_the_readme_shows_every_endpoint(server: ServerProcess) -> None:
    """No path of the API is left out."""
    command = ["curl", "-sS", f"http://127.0.0.1:{server.port}/api/v1/openapi.json"]
    document = subprocess.run(command, capture_output=True, timeout=30, check=True).stdout
    shown = [re.split(r"[?' ]", url)[0] for url in re.findall(r"http://localhost:8070(\S+)", README)]
    patterns = {path: re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(path)) for path in json.loads(document)["paths"]}
    missing = {path for path, pattern in patterns.items() if not any(re.fullmatch(pattern, path) for path in shown)}
    assert missing <= WITHOUT_EXAMPLE
