"""A site as docs/how-to/move-to-elasticsearch.md knows it: the page's commands are run on it as they stand there."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.system.server_process import PROJECT, ServerProcess, clean_environment

PAGE: Final = (PROJECT / "docs/how-to/move-to-elasticsearch.md").read_text()
NAMES: Final = ("/var/lib/eventserver", "elasticsearch://es1:9200,es2:9200/smrtlink-events")
"""What is another directory and another server here."""
ENVIRONMENT_FILE: Final = "/etc/eventserver.env"
SYSTEMCTL: Final = re.compile(r"sudo systemctl (\w+) eventserver")
SECONDS: Final = 120


def blocks() -> dict[str, list[str]]:
    """Return the page's code blocks, by the heading that they stand under; the ones ahead of all under ""."""
    found = {}
    for part in re.split(r"^## ", "\n" + PAGE, flags=re.MULTILINE):
        heading, _, text = part.partition("\n")
        found[heading] = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


class Site:
    """A server that is a unit of a service manager, and a terminal beside it.

    Args:
        folder: of this site only.
        store: URL of the Elasticsearch that it moves to.

    Attributes:
        server: the one that runs, or ran last.
        done: the page's blocks that were run.
        following: the copy of step 1, while it runs.

    """

    def __init__(self, folder: Path, store: str) -> None:
        self.done: list[tuple[str, str]] = []
        self.following: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._environment_file = folder / "eventserver.env"
        self._environment_file.touch()
        self._root = folder / "root"
        self._words = folder / "copy.log"
        self._blocks = blocks()
        (block,) = self._blocks[""]
        assert all(name in block for name in NAMES)
        for name, here in zip(NAMES, (str(self._root), store), strict=True):
            block = block.replace(name, here)
        # What a shell of the page's reader has: no more rights are needed here.
        self._prelude = f'set -e -o pipefail\nsudo() {{ "$@"; }}\n{block}'
        self.server = ServerProcess(self._root, folder / "server.log")

    def close(self) -> None:
        """Kill what is left."""
        self.server.kill()
        if self.following is not None:
            self.following.kill()
            self.following.wait(10)

    async def run(self, heading: str, number: int = 0) -> str:
        """Run a block of the page to its end, and return what its commands wrote; each must succeed."""
        return "".join([await asyncio.to_thread(self._run, line) for line in self._block(heading, number).splitlines()])

    def follow(self, heading: str) -> None:
        """Start the command of a block that does not end by itself."""
        with self._words.open("ab") as output:
            command, environment = self._shell(f"exec {self._block(heading, 0)}"), self._environment()
            self.following = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    async def until_begun(self) -> None:
        """Wait until the copy has done a part."""
        for _ in range(SECONDS * 20):
            if any(json.loads(path.read_bytes())["token"] for path in self._root.glob("copies/*.json")):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(self._words.read_text())

    async def end_follow(self, number: signal.Signals) -> int:
        """Send a signal to what was started so, and return its exit code."""
        assert self.following is not None
        self.following.send_signal(number)
        return await asyncio.to_thread(self.following.wait, 30)

    async def until_said(self, word: str) -> None:
        """Wait until the copy says something."""
        for _ in range(SECONDS * 20):
            if word in self._words.read_text():
                return
            assert self.following is not None
            assert self.following.poll() is None, self._words.read_text()
            await asyncio.sleep(0.05)
        raise AssertionError(self._words.read_text())

    def _block(self, heading: str, number: int) -> str:
        block = self._blocks[heading][number]
        self.done.append((heading, block))
        return block.replace(ENVIRONMENT_FILE, str(self._environment_file))

    def _run(self, line: str) -> str:
        match = SYSTEMCTL.fullmatch(line)
        if match is not None:
            self._manage(match[1])
            return ""
        ended = subprocess.run(
            self._shell(line), env=self._environment(), capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def _manage(self, verb: str) -> None:
        """Do what systemd does with the unit of docs/how-to/install.md."""
        if verb in {"stop", "restart"}:
            assert self.server.terminate() == 0, self.server.output()
        if verb in {"start", "restart"}:
            lines = self._environment_file.read_text().splitlines()
            settings = dict(line.split("=", 1) for line in lines)
            port = self.server.port
            self.server = ServerProcess(
                self._root, self._folder / "server.log", SMRTFLOW_SERVER_PORT=str(port), **settings
            )
            self.server.port = port
            self.server.start()
        assert verb in {"stop", "start", "restart"}, verb

    def _shell(self, line: str) -> list[str]:
        return ["bash", "-c", f"{self._prelude}{line}\n"]

    def _environment(self) -> dict[str, str]:
        plain = clean_environment()
        return {**plain, "PATH": f"{Path(sys.executable).parent}:{plain['PATH']}"}
