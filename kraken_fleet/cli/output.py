"""All that the command line says: tables for people, one shape of JSON for programs, errors for both.

With `--json` standard output carries exactly one document: {"ok": true, "data": ...} or {"ok": false, "error":
{"kind", "message", "where", "hint"}}. Progress and errors for people go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kraken_fleet.errors import FleetError
from kraken_fleet.model import Secret, shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult

# A file or a pipe has no width, so there each row of a table stays on one line.
_WIDE = 400

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
AsEvents = Annotated[bool, typer.Option("--json", help="Print each event as one line of JSON instead.")]


@cache
def console(*, stderr: bool = False) -> Console:
    """Return the one console of each stream. Rich leaves colours out for NO_COLOR, dumb terminals and pipes."""
    from rich.console import Console

    # Without soft_wrap Rich breaks long lines at the width of the terminal, and a copied command would have a line end
    # in it.
    made = Console(stderr=stderr, highlight=False, soft_wrap=True)
    made.push_render_hook(_neutral_hook())
    if not made.is_terminal:
        made.width = _WIDE
    return made


def _neutral_hook() -> RenderHook:
    """Keep words of agents and hosts from doing anything to the terminal: Rich lets escape sequences through."""
    from rich.console import RenderHook
    from rich.segment import Segment

    class Neutral:
        def __init__(self, renderable: ConsoleRenderable) -> None:
            self._renderable = renderable

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for part in console.render(self._renderable, options):
                yield part if part.control else Segment(shown(part.text), part.style)

    class Hook(RenderHook):
        def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
            return [Neutral(one) for one in renderables]

    return Hook()


def line(text: str) -> None:
    """Print one plain line for people."""
    sys.stdout.write(shown(text) + "\n")
    sys.stdout.flush()  # whoever waits at the other end of a pipe sees it now


def answer(data: object) -> None:
    """Print the answer for programs."""
    _document({"ok": True, "data": plain(data)})


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table for people; `empty` is printed instead when there are no rows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(shown(cell, lines=False)) for cell in row))
    if made.row_count:
        console().print(made, soft_wrap=False)
    else:
        line(empty)


def details(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other, for one thing."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    for name, value in pairs:
        made.add_row(Text(name, style="bold"), Text(shown(value)))
    console().print(made)


def error(problem: FleetError, *, as_json: bool) -> None:
    """Print an error, once: as the JSON answer, or on standard error for people."""
    if as_json:
        _document({"ok": False, "error": problem.as_dict()})
        return
    from rich.text import Text

    located = f"{problem.where}: {problem.message}" if problem.where else problem.message
    text = Text.assemble(("Error: ", "bold red"), located if located.endswith("?") else f"{located}.")
    if problem.hint:
        text.append(f"\n{problem.hint}.", style="dim")
    console(stderr=True).print(text)


def plain(value: object) -> object:
    """Turn a value into what JSON has: model values become objects, times ISO 8601, sets sorted lists."""
    if isinstance(value, Secret):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(str(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def _document(content: object) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # What a terminal would act on is spelled out as JSON does, and means the same to programs.
    line(text if shown(text) == text else json.dumps(content, indent=2))
