"""Long-lived processes of an instance: started detached, remembered by pid file, stopped by that pid only.

A pid file holds the pid and the start time from /proc, so a pid that the system gave to another program is never taken
for ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.real_server.plan import RealServerError

STOP_SECONDS = 15.0


def start(
    directory: Path,
    name: str,
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    cwd: Path | None = None,
) -> bool:
    """Start a process unless it runs already.

    Args:
        directory: of the instance; the pid goes to `run/NAME.pid`, the output to `logs/NAME.log`.
        environment: replaces ours, apart from PATH, HOME and the like.
        user: whom to run it as; needs root.

    Returns:
        Whether it was started now.
    """
    if running(directory, name):
        return False
    log = _log_file(directory, name)
    pid_file = _pid_file(directory, name)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_base_environment(), **(environment or {})},
            cwd=cwd,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    pid_file.write_text(f"{process.pid} {_start_time(process.pid)}\n")
    return True


def running(directory: Path, name: str) -> int | None:
    """The pid of a process of ours that is alive, or None."""
    try:
        pid, started = _pid_file(directory, name).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if _start_time(int(pid)) == started else None


def stop(directory: Path, name: str, *, with_signal: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> bool:
    """Stop a process and everything in its session; kill it when it does not go. Returns whether it ran."""
    pid = running(directory, name)
    if pid is not None:
        _signal_group(pid, with_signal)
        if not _gone_within(directory, name, seconds):
            _signal_group(pid, signal.SIGKILL)
            _gone_within(directory, name, STOP_SECONDS)
    _pid_file(directory, name).unlink(missing_ok=True)
    return pid is not None


def wait_ready(directory: Path, name: str, ready: Callable[[], bool], *, seconds: float = 180.0) -> None:
    """Wait until a process does its work.

    Raises:
        RealServerError: it ended, or was not ready in time; with the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if running(directory, name) is None:
            raise RealServerError(f"{name} ended while starting:\n{last_lines(directory, name)}")
        if time.monotonic() > deadline:
            raise RealServerError(f"{name} was not ready after {seconds:.0f} s:\n{last_lines(directory, name)}")
        time.sleep(0.05)


def last_lines(directory: Path, name: str, count: int = 20) -> str:
    """The end of a process's log, for messages."""
    lines = _log_file(directory, name).read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-count:])


def _base_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


def _pid_file(directory: Path, name: str) -> Path:
    folder = directory / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.pid"


def _log_file(directory: Path, name: str) -> Path:
    folder = directory / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # the migration prints the database's URL
    file = folder / f"{name}.log"
    file.touch()
    return file


def _start_time(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may contain spaces
    return None if fields[0] == "Z" else fields[19]


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _gone_within(directory: Path, name: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(directory, name) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
