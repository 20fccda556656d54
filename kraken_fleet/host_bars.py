"""Progress bars that count hosts, with a note behind each: for a deploy by ansible-playbook and for one in slices."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from kraken_fleet.model import shown


class _NoteColumn(ProgressColumn):
    """What goes on. It is asked for at each redraw, since a slow host is one that says nothing."""

    def __init__(self, note: Callable[[Task], str]) -> None:
        super().__init__()
        self._note = note

    def render(self, task: Task) -> Text:
        return Text(shown(self._note(task)))


def host_bars(note: Callable[[Task], str], console: Console, *, disable: bool = False) -> Progress:
    """Make the bars.

    Args:
        note: says what goes on in what a bar stands for; another thread calls it.
        disable: show nothing.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:.0f}/{task.total:.0f} hosts"),
        TimeElapsedColumn(),
        _NoteColumn(note),
        console=console,
        disable=disable,
    )
