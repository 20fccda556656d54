"""Which processes live on this machine, and which one is which: Linux's /proc, see proc(5).

A process is known by its number and its start time together: the system gives the number of one that has ended to
another.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
# Fields of /proc/PID/stat behind the name of the program, counted from 0.
_STATE, _PARENT, _START_TIME = 0, 1, 19


class Found(NamedTuple):
    """A process: the number of its parent, its start in clock ticks since boot, and whether it has ended.

    One that has ended stays until its parent has asked how.
    """

    parent: int
    started: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process of this machine: `started` in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        found = find(self.pid)
        return found is not None and found.started == self.started and not found.ended


def find(pid: int) -> Found | None:
    """Look at a process; None when there is none of that number."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name of the program stands in brackets before these fields, and may have blanks and brackets itself.
    fields = text.rpartition(")")[2].split()
    return Found(int(fields[_PARENT]), int(fields[_START_TIME]), fields[_STATE] == "Z")


def running() -> dict[int, Found]:
    """Look at all processes that have not ended, by their numbers."""
    numbers = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return {pid: found for pid in numbers if (found := find(pid)) and not found.ended}
