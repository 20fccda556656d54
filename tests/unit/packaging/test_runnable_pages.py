"""Every command in the documentation is run by a test, or says why not; and the reader of these blocks reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runnable_pages import PAGES, Block, Command, blocks_of

SHELLS = ("console", "sh", "bash", "shell")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_commands_is_run_or_says_why_not(page: Path) -> None:
    unmarked = [block.line for block in blocks_of(page) if block.language in SHELLS and not block.marker]
    assert unmarked == [], f"{page.name}: mark the blocks on these lines, as CONTRIBUTING.md says"


def test_most_blocks_of_commands_are_run() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language in SHELLS]
    assert sum(block.runs for block in blocks) > len(blocks) / 3


def _only_block(folder: Path, text: str) -> Block:
    (folder / "page.md").write_text(text)
    (block,) = blocks_of(folder / "page.md")
    return block


def test_a_block_is_divided_into_its_commands_and_what_they_print(tmp_path: Path) -> None:
    text = "Type:\n\n<!-- runs -->\n```console\n$ one \\\n    two\nfirst\nsecond\n$ three  # exit code 2: so\n```\n"
    block = _only_block(tmp_path, text)
    assert block.runs
    assert block.commands == [
        Command("one \\\n    two", "first\nsecond", 0),
        Command("three  # exit code 2: so", "", 2),
    ]


def test_a_block_says_which_file_it_is(tmp_path: Path) -> None:
    block = _only_block(tmp_path, "<!-- file: hosts.yml -->\n```yaml\nall: {}\n```\n")
    assert (block.file, block.runs, block.text) == ("hosts.yml", False, "all: {}\n")


@pytest.mark.parametrize("text", ["<!-- run -->\n```console\n$ true\n```\n", "<!-- runs -->\n\nText.\n"])
def test_a_marker_with_a_mistake_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(AssertionError, match="marker"):
        list(blocks_of(tmp_path / "page.md"))
