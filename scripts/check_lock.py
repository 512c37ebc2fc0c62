"""Check, without the network, that requirements.lock belongs to pyproject.toml and names no place to fetch from.

Each dependency of pyproject.toml must stand in the lock as a direct one, at a version that it allows, with hashes, and
no other may stand there as a direct one. Newer releases are no failure: ``make lock ARGS=--upgrade`` takes them.
"""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def locked(text: str) -> tuple[dict[str, str], set[str]]:
    """Read the versions of a lock file, and the names that the project asks for itself."""
    versions: dict[str, str] = {}
    direct: set[str] = set()
    name = ""
    for line in text.splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line):
            name = canonicalize_name(pin[1])
            versions[name] = pin[2]
        elif line.startswith("    #") and "smrtlink-event-server" in line:
            direct.add(name)
    return versions, direct


def problems() -> list[str]:
    """Return what is wrong, a sentence each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "requirements.lock").read_text()
    versions, direct = locked(text)
    asked = [Requirement(line) for line in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]]
    found = []
    for requirement in asked:
        name = canonicalize_name(requirement.name)
        version = versions.get(name)
        if version is None:
            found.append(f"{name} is not in requirements.lock")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"requirements.lock has {name} {version}, pyproject.toml asks for {requirement.specifier}")
    names = {canonicalize_name(requirement.name) for requirement in asked}
    found += [f"pyproject.toml does not ask for {name} any more" for name in sorted(direct - names)]
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    found += [f"no hashes: {block.splitlines()[0]}" for block in blocks if "--hash=sha256:" not in block]
    found += [f"an address: {line}" for line in text.splitlines() if "://" in line or line.startswith("-")]
    return found


if __name__ == "__main__":
    if found := problems():
        sys.exit("\n".join([*found, "Run `make lock` and commit requirements.lock."]))
