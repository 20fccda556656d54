"""The commands in the documentation that tests run: which blocks are marked, and how.

A comment in the line above a fenced block marks it. Neither the site nor a forge shows it:

    <!-- file: hosts.yml -->       the block is written into this file
    <!-- runs -->                  its commands run, one after another, and print what the block shows
    <!-- runs until stopped -->    its one command runs until the page ends, and prints what the block shows first
    <!-- runs on hosts -->         as `runs`, on a page that has three hosts without agents
    <!-- not run: needs a cloud --> why no test runs it

In what is shown `...` stands for anything, and blanks count as one. Where nothing is shown, anything may be printed. A
command ends with exit code 0, or with the one that its comment names: `# exit code 2: there are changes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
RUNS, UNTIL_STOPPED, ON_HOSTS = "runs", "runs until stopped", "runs on hosts"
_MARKER = re.compile(r"<!-- (runs|runs until stopped|runs on hosts|(?:file|not run): .+?) -->\s*")
_CODE = re.compile(r"# exit code (\d+)")
_PROMPT = "$ "


@dataclass(frozen=True)
class Command:
    """One command of a block: what is typed, what is printed, and the code with which it ends."""

    typed: str
    shown: str
    code: int


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Args:
        line: the number of the line with its fence, for messages.
        marker: the comment above it, or empty.
    """

    line: int
    language: str
    text: str
    marker: str

    @property
    def file(self) -> str:
        """Return the file that the block is written into, or nothing."""
        return self.marker.removeprefix("file: ") if self.marker.startswith("file: ") else ""

    @property
    def runs(self) -> bool:
        """Say whether its commands are run."""
        return self.marker in (RUNS, UNTIL_STOPPED, ON_HOSTS)

    @property
    def commands(self) -> list[Command]:
        """Divide a block into its commands, each with what is shown below it."""
        found: list[tuple[list[str], list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith(_PROMPT):
                found.append(([line.removeprefix(_PROMPT)], []))
            elif found and found[-1][0][-1].endswith("\\"):
                found[-1][0].append(line)
            else:
                assert found, f"Line {self.line}: the block begins with no command"
                found[-1][1].append(line)
        return [_command("\n".join(typed), "\n".join(shown)) for typed, shown in found]


def blocks_of(page: Path) -> Iterator[Block]:
    """Read the fenced blocks of a page.

    Raises:
        AssertionError: a comment is no marker, or nothing follows it.
    """
    marker = ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block" and token.content.startswith("<!--"):
            read = _MARKER.fullmatch(token.content)
            assert read, f"{page.name}:{line}: {token.content.strip()} is no marker"
            marker = read[1]
        elif token.type == "fence":
            yield Block(line, token.info, token.content, marker)
            marker = ""
        else:
            assert not marker, f"{page.name}:{line}: no block follows the marker"


def _command(typed: str, shown: str) -> Command:
    code = _CODE.search(typed)
    return Command(typed, shown, int(code[1]) if code else 0)
