"""docs/troubleshooting.md quotes messages word for word: each is still in the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]
_PAGE = _ROOT / "docs" / "troubleshooting.md"
_FIRST_CELL = re.compile(r"^\| (`.*?`) \|", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_ANY = "..."


@cache
def _messages() -> str:
    """All texts of the source, one a line, with `...` for each value that is filled in."""
    found: list[str] = []
    for folder in ("kraken_fleet", "plugins", "agent"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            found += _texts(ast.parse(path.read_text(encoding="utf-8")))
    for path in sorted((_ROOT / "roles").glob("*/tasks/*.yml")):
        found.append(_TEMPLATE.sub(_ANY, path.read_text(encoding="utf-8")))
    return "\n".join(" ".join(text.split()) for text in found)


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else _ANY for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _quoted() -> list[str]:
    cells = _FIRST_CELL.findall(_PAGE.read_text(encoding="utf-8"))
    return [message for cell in cells for message in re.findall(r"`(.+?)`", cell)]


@pytest.mark.parametrize("message", _quoted())
def test_a_message_of_the_page_is_one_of_the_program(message: str) -> None:
    assert message in _messages()


def test_the_page_has_messages_and_not_single_words() -> None:
    assert len(_quoted()) > 30
    assert [message for message in _quoted() if len(message.replace(_ANY, "").split()) < 3] == []
