"""Processes that outlive the command which started them: started, recognised again, and stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kraken_fleet.errors import LabError
from kraken_fleet.processes import ProcessRef, find, running

# In the environment of all that a lab starts: the lab's directory.
MARK = "KRAKEN_FLEET_LAB"

_PROC = Path("/proc")
_POLL = 0.05


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
    found = find(pid)
    if found is None:
        raise LabError("It ended at once", where=command[0], hint=f"Its output is in {log}")
    return ProcessRef(pid, found.started)


def running_in(directory: Path) -> set[ProcessRef]:
    """Find this user's processes of the lab in a directory, and of agents below it, with all their descendants.

    What a lab starts carries MARK in its environment. An agent runs a file from the directory, and its jobs have
    KRAKEN_DATA_DIR from there even when their agent has died.
    """
    root = str(directory.resolve())
    found = running()
    chosen = {pid for pid in found if _belongs(pid, root)}
    while more := {pid for pid, process in found.items() if process.parent in chosen} - chosen:
        chosen |= more
    # A shell in the lab's environment may have started this very command.
    chosen -= {os.getpid(), os.getppid()}
    return {ProcessRef(pid, found[pid].started) for pid in chosen}


def stop(processes: Iterable[ProcessRef], *, patience: float = 5.0) -> None:
    """End processes: ask all, wait up to `patience` seconds, then end those that are left. Gone ones are no error."""
    processes = list(processes)
    left = [process for process in processes if _signal(process, signal.SIGTERM)]
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(_POLL)
        left = [process for process in left if process.alive]
    for process in left:
        _signal(process, signal.SIGKILL)
    while any(process.alive for process in left):
        time.sleep(_POLL)
    for process in processes:
        _bury(process.pid)


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


def _bury(pid: int) -> None:
    with suppress(ChildProcessError):  # another process started it
        os.waitpid(pid, os.WNOHANG)
