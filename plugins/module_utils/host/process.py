"""An agent as a detached process with a pidfile: for hosts without systemd, or without root."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any, Dict, Iterator, Optional

from .changes import Change, HostError
from .env_file import parse
from .files import read_text
from .spec import AgentSpec

# A process that lives this long has understood its settings.
_SETTLE_SECONDS = 0.3
_KILL_SECONDS = 5.0
_LARGEST_LOG = 10 * 1024 * 1024


def pidfile(directory: str) -> str:
    return os.path.join(directory, "agent.pid")


def logfile(directory: str) -> str:
    return os.path.join(directory, "agent.log")


def running(directory: str) -> Optional[int]:
    """The agent's process number, None when it does not run.

    Numbers are used again: the pidfile also has the time the process was started, in clock ticks after the boot, and
    the process must still have the agent of this directory on its command line.
    """
    fields = (read_text(pidfile(directory)) or "").split()
    if len(fields) != 2 or not fields[0].isdigit():
        return None
    pid = int(fields[0])
    if _started(pid) != fields[1]:
        return None
    return pid if any(_is_agent_of(directory, word) for word in _command_line(pid)) else None


def _is_agent_of(directory: str, path: str) -> bool:
    """Whether a path is `current/kkagent`, or the file of a release that an agent has updated itself to."""
    place, name = os.path.split(path)
    return name == "kkagent" and (
        place == os.path.join(directory, "current") or os.path.dirname(place) == os.path.join(directory, "versions")
    )


def converge(spec: AgentSpec, *, restart: bool) -> Iterator[Change]:
    """The process in its state.

    Args:
        restart: whether something has changed that a running agent reads only at its start.
    """
    pid = running(spec.directory)
    title = os.path.basename(spec.directory)
    if spec.service_state == "stopped":
        yield from remove(spec.directory, spec.drain_seconds)
    elif pid is None:
        yield Change(
            f"start {title}", lambda: start(spec), before="stopped\n", after="started\n", before_header=spec.directory
        )
    elif restart:

        def again() -> None:
            stop(spec.directory, spec.drain_seconds)
            start(spec)

        yield Change(
            f"restart {title}", again, before="started\n", after="started again\n", before_header=spec.directory
        )


def remove(directory: str, drain_seconds: int) -> Iterator[Change]:
    """No such process."""
    if running(directory) is not None:
        yield Change(
            f"stop {os.path.basename(directory)}",
            lambda: stop(directory, drain_seconds),
            before="started\n",
            after="stopped\n",
            before_header=directory,
        )


def state(directory: str) -> Dict[str, Any]:
    """The process for a module's result."""
    pid = running(directory)
    return {"manager": "process", "state": "started" if pid else "stopped", "enabled": False, "pid": pid}


def start(spec: AgentSpec) -> None:
    """Starts the agent in a session of its own, so that it outlives this connection.

    Raises:
        HostError: it ended at once; the text has its last words.
    """
    log = logfile(spec.directory)
    if os.path.exists(log) and os.path.getsize(log) > _LARGEST_LOG:
        os.replace(log, log + ".1")
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640), "ab") as output:
        began = output.tell()
        agent = subprocess.Popen(
            spec.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=spec.data,
            env=_environment(spec),
            start_new_session=True,
        )
    _write_pidfile(spec.directory, agent.pid)
    time.sleep(_SETTLE_SECONDS)
    if agent.poll() is not None:
        os.unlink(pidfile(spec.directory))
        with open(log, encoding="utf-8", errors="replace") as written:
            written.seek(began)
            words = written.read()[-2000:].strip()
        raise HostError(f"the agent ended at once with exit code {agent.returncode}. Its last words:\n{words}")


def stop(directory: str, drain_seconds: int) -> None:
    """Tells the agent to stop, waits for its job to end, and ends both by force when that takes too long."""
    pid = running(directory)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not _gone(directory, drain_seconds + _KILL_SECONDS):
            # It leads its session: steps that it started in its own process group go with it.
            os.killpg(pid, signal.SIGKILL)
            _gone(directory, _KILL_SECONDS)
    if os.path.lexists(pidfile(directory)):
        os.unlink(pidfile(directory))


def _gone(directory: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(directory) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _environment(spec: AgentSpec) -> Dict[str, str]:
    """What systemd would give it: nothing of this connection's environment gets in."""
    base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    base.update(HOME=os.path.expanduser("~"), USER=spec.user, LOGNAME=spec.user)
    return {**base, **parse(read_text(spec.env_file) or "")}


def _write_pidfile(directory: str, pid: int) -> None:
    fresh = pidfile(directory) + ".new"
    with open(fresh, "w", encoding="ascii") as file:
        file.write(f"{pid} {_started(pid)}\n")
    os.replace(fresh, pidfile(directory))


def _started(pid: int) -> Optional[str]:
    """Field 22 of /proc/PID/stat (proc(5)); None for a process that is gone or a zombie."""
    stat = read_text(f"/proc/{pid}/stat")
    if not stat:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _command_line(pid: int) -> "list[str]":
    return (read_text(f"/proc/{pid}/cmdline") or "").split("\0")
