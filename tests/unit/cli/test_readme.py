"""What README and CONTRIBUTING tell people to type exists."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from kraken_fleet.cli.main import COMMANDS, main

_ROOT = Path(__file__).resolve().parents[3]
# Where a path that is described may begin: what stands in a row about one of these is below it.
_STARTS = ("", "kraken_fleet", "kraken_fleet/server", "plugins/plugin_utils", "tests")
_TEXTS = {name: (_ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}

_REPOSITORY = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def _commands() -> list[tuple[str, ...]]:
    """Every `kraken-fleet A B` of the texts; `A list`, `show` in a table stands for `A list` and `A show`."""
    found: set[tuple[str, ...]] = set()
    for text in _TEXTS.values():
        for row in re.findall(r"^\| (`kraken-fleet .*?) \|", text, re.MULTILINE):
            first, *others = re.findall(r"`(?:kraken-fleet )?([a-z -]+)`", row)
            words = tuple(first.split())
            found.add(words)
            found.update((*words[:-1], other) for other in others)
        for line in re.findall(r"kraken-fleet ([a-z]+(?: [a-z]+)?)(?= *(?:--|#|$))", text, re.MULTILINE):
            found.add(tuple(line.split()))
    return sorted(found)


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_a_command_that_is_described_is_there(words: tuple[str, ...]) -> None:
    assert main([*words, "--help"]) == 0


def test_every_command_is_described() -> None:
    described = {word for words in _commands() for word in words}
    assert set(COMMANDS) <= described


def test_every_make_target_that_is_described_is_there() -> None:
    shown = subprocess.run(["make", "-s", "help"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r"^  make ([a-z]+)", shown, re.MULTILINE))
    described = {name for text in _TEXTS.values() for name in re.findall(r"make ([a-z]+)(?=[`\s])", text)}
    assert described - {"python"} <= there
    assert {"demo", "test", "check"} <= described


def test_every_path_that_is_described_is_there() -> None:
    paths = {path for text in _TEXTS.values() for path in re.findall(r"`([\w.-]+/[\w./-]*)`", text)}
    paths |= {path for text in _TEXTS.values() for path in re.findall(r"\]\(([\w./-]+)\)", text)}
    missing = {path for path in paths if not any((_ROOT / start / path).exists() for start in _STARTS)}
    assert missing == set()


def test_links_of_the_readme_work_on_its_package_page_too() -> None:
    """A package page has no files beside it, so each link names the repository."""
    text = _TEXTS["README.md"]
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    assert [link for link in links if not link.startswith("https://")] == []
    raw = _REPOSITORY.replace("https://github.com/", "https://raw.githubusercontent.com/")
    starts = (f"{_REPOSITORY}/blob/main/", f"{_REPOSITORY}/tree/main/", f"{raw}/main/")
    paths = [link.removeprefix(start) for link in links for start in starts if link.startswith(start)]
    assert [path for path in paths if not (_ROOT / path).exists()] == []
    assert len(paths) >= 13


def test_the_readme_is_short_and_begins_with_what_to_type() -> None:
    lines = _TEXTS["README.md"].splitlines()
    assert len(lines) < 150
    assert lines.index("$ make demo") < 10
