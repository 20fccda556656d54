"""Processes that outlive the command which started them: started, recognised again, and stopped.

A process is known by its number and its start time together (`/proc/PID/stat`), so that a number which the system has
given to somebody else meanwhile is never signalled.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kraken_fleet.errors import LabError

# In the environment of all that a lab starts: the lab's directory.
MARK = "KRAKEN_FLEET_LAB"

_PROC = Path("/proc")
_POLL = 0.05
# Fields of /proc/PID/stat after the command's name, counted from 0: see proc(5).
_STATE, _PARENT, _START_TIME = 0, 1, 19


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process of this machine: `started` in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; one that has only not been buried yet does not."""
        _bury(self.pid)
        found = _stat(self.pid)
        return found is not None and found[_STATE] != "Z" and int(found[_START_TIME]) == self.started


def spawn(command: Sequence[str], *, log: Path, environ: Mapping[str, str]) -> ProcessRef:
    """Start a program in a session of its own, so that Ctrl-C in this terminal does not reach it.

    Args:
        command: the program's path and its arguments.
        log: gets its output, appended; made with mode 0600.
        environ: its whole environment.

    Raises:
        LabError: it cannot be started, or was gone at once.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawn(command[0], list(command), dict(environ), file_actions=streams, setsid=True)
    except OSError as error:
        raise LabError(f"It cannot be started: {error.strerror}", where=command[0]) from error
    found = _stat(pid)
    if found is None:
        raise LabError("It ended at once", where=command[0], hint=f"Its output is in {log}")
    return ProcessRef(pid, int(found[_START_TIME]))


def running_in(directory: Path) -> set[ProcessRef]:
    """Find this user's processes of the lab in a directory, and of agents below it, with all their descendants.

    What a lab starts carries MARK in its environment. An agent runs a file from the directory, and its jobs have
    KRAKEN_DATA_DIR from there even when their agent has died.
    """
    root = str(directory.resolve())
    parents: dict[int, int] = {}
    chosen: set[int] = set()
    for pid, stat in _processes():
        parents[pid] = int(stat[_PARENT])
        if _belongs(pid, root):
            chosen.add(pid)
    while more := {pid for pid, parent in parents.items() if parent in chosen} - chosen:
        chosen |= more
    # A shell in the lab's environment may have started this very command.
    chosen -= {os.getpid(), os.getppid()}
    return {
        ProcessRef(pid, int(found[_START_TIME])) for pid in chosen if (found := _stat(pid)) and found[_STATE] != "Z"
    }


def stop(processes: Iterable[ProcessRef], *, patience: float = 5.0) -> None:
    """End processes: ask all, wait up to `patience` seconds, then end those that are left. Gone ones are no error."""
    left = [process for process in processes if _signal(process, signal.SIGTERM)]
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(_POLL)
        left = [process for process in left if process.alive]
    for process in left:
        _signal(process, signal.SIGKILL)
    while any(process.alive for process in left):
        time.sleep(_POLL)


def _signal(process: ProcessRef, number: signal.Signals) -> bool:
    if not process.alive:
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _belongs(pid: int, root: str) -> bool:
    try:
        program, *arguments = os.fsdecode((_PROC / str(pid) / "cmdline").read_bytes()).split("\0")
        environ = os.fsdecode((_PROC / str(pid) / "environ").read_bytes()).split("\0")
    except OSError:  # it is somebody else's, or has ended
        return False
    runs_file = Path(program).name.startswith("python") and any(_below(text, root) for text in arguments[:2])
    job = any(_below(text, f"KRAKEN_DATA_DIR={root}") for text in environ)
    return f"{MARK}={root}" in environ or _below(program, root) or runs_file or job


def _below(path: str, root: str) -> bool:
    return path.startswith(root + os.sep)


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            yield int(entry.name), stat


def _stat(pid: int) -> list[str] | None:
    """Return the fields after the name of the command, which may itself contain spaces and brackets."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _bury(pid: int) -> None:
    with suppress(ChildProcessError):  # another process started it
        os.waitpid(pid, os.WNOHANG)
