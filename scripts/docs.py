"""Write the generated reference pages and check the links of all pages; ``--check`` only compares.

Generated: ``docs/reference/cli.md``, from the help of each command.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from eventserver.cli import main as command_line

ROOT = Path(__file__).parent.parent
CLI_PAGE = ROOT / "docs/reference/cli.md"


def cli_page() -> str:
    """Return the page of the command line, in Markdown."""
    parts = ["# Command line\n", "Generated from the commands' own help by `make docs`.\n"]
    for path, command in commands(("eventserver",), command_line):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100)
        context.terminal_width = 100
        with context.scope():
            parts += [f"## {' '.join(path)}\n", f"```text\n{command.get_help(context)}\n```\n"]
    return "\n".join(parts)


def commands(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Run through a command and all below it, in the order of the help."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands((*path, name), below)


def anchors(page: Path) -> set[str]:
    """Return the fragments that a page's headings have."""
    headings = re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links() -> list[str]:
    """Return the relative links that lead nowhere; other sites are not asked."""
    found = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, fragment = target.partition("#")
            aim = (page.parent / name).resolve() if name else page
            if not aim.exists() or (fragment and aim.suffix == ".md" and fragment not in anchors(aim)):
                found.append(f"{page.relative_to(ROOT)}: {target} leads nowhere")
    return found


def main() -> int:
    """Write or compare, then check."""
    page = cli_page()
    failures = []
    if "--check" not in sys.argv:
        CLI_PAGE.parent.mkdir(parents=True, exist_ok=True)
        CLI_PAGE.write_text(page)
    elif not CLI_PAGE.exists() or CLI_PAGE.read_text() != page:
        failures.append(f"{CLI_PAGE.relative_to(ROOT)} is not what the commands say; run `make docs`")
    failures += broken_links()
    if failures:
        sys.exit("\n".join(failures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
