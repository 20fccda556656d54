"""An agent as a detached process with a pidfile: for hosts without systemd, or without root.

Root starts it as the agent's account, which then owns the pidfile: whatever it writes there, root ends only processes
of that very account because of it.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import time
from typing import Any, Dict, Iterator, Optional

from . import opening, restart_due
from .changes import Change, HostError
from .commands import becoming
from .env_file import parse
from .files import Attributes, read_text, write_file
from .spec import AgentSpec
from .users import number

# A process that lives this long, and waits for something by then, has understood its settings.
_SETTLE_SECONDS = 0.3
# On a busy host it may still be starting.
_LONGEST_START_SECONDS = 10.0
_KILL_SECONDS = 5.0
_LARGEST_LOG = 10 * 1024 * 1024
_NUMBER = re.compile(r"[0-9]{1,10}\Z")


def pidfile(directory: str) -> str:
    return os.path.join(directory, "agent.pid")


def logfile(directory: str) -> str:
    return os.path.join(directory, "agent.log")


def running(directory: str) -> Optional[int]:
    """Return the agent's process number, None when it does not run.

    Numbers are used again: the pidfile also has the time the process was started, in clock ticks after the boot, and
    the process must still be of the account that the pidfile is of, and have the agent of this directory on its command
    line.
    """
    found = opening.status(pidfile(directory))
    fields = (read_text(pidfile(directory)) or "").split()
    if found is None or len(fields) != 2 or not _NUMBER.match(fields[0]):
        return None
    pid = int(fields[0])
    if _started(pid) != fields[1] or _owner(pid) != found.st_uid:
        return None
    return pid if any(_is_agent_of(directory, word) for word in _command_line(pid)) else None


def account(directory: str) -> Optional[int]:
    """Return the number of the account that the agent runs as; None when it does not run."""
    pid = running(directory)
    return None if pid is None else _owner(pid)


def _is_agent_of(directory: str, path: str) -> bool:
    """Tell whether a path is `current/kkagent`, or the file of a release that an agent has updated itself to."""
    place, name = os.path.split(path)
    return name == "kkagent" and (
        place == os.path.join(directory, "current") or os.path.dirname(place) == os.path.join(directory, "versions")
    )


def converge(spec: AgentSpec, *, restart: bool) -> Iterator[Change]:
    """Bring the process to its wanted state.

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
    elif restart or _owner(pid) != number(spec.user):

        def again() -> None:
            stop(spec.directory, spec.drain_seconds)
            start(spec)

        yield Change(
            f"restart {title}", again, before="started\n", after="started again\n", before_header=spec.directory
        )


def remove(directory: str, drain_seconds: int) -> Iterator[Change]:
    """Stop the process."""
    if running(directory) is not None:
        yield Change(
            f"stop {os.path.basename(directory)}",
            lambda: stop(directory, drain_seconds),
            before="started\n",
            after="stopped\n",
            before_header=directory,
        )


def state(directory: str) -> Dict[str, Any]:
    """Describe the process for a module's result."""
    pid = running(directory)
    return {"manager": "process", "state": "started" if pid else "stopped", "enabled": False, "pid": pid}


def start(spec: AgentSpec) -> None:
    """Start the agent in a session of its own, so that it outlives this connection.

    Raises:
        HostError: it ended at once; the text has the end of its log.
    """
    log = logfile(spec.directory)
    found = opening.status(log)
    if found is not None and (found.st_size > _LARGEST_LOG or not opening.is_plain(found)):
        opening.move(log, log + ".1")
    with open(opening.append(log, 0o640), "ab") as output:
        began = os.fstat(output.fileno()).st_size
        agent = subprocess.Popen(
            spec.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=spec.data,
            env=_environment(spec),
            start_new_session=True,
            preexec_fn=becoming(spec.user),
        )
    try:
        _write_pidfile(spec, agent.pid)
    except Exception:
        # Nobody would know of it, and the next run would start another one.
        os.killpg(agent.pid, signal.SIGKILL)
        agent.wait()
        raise
    if _has_ended_at_once(agent):
        opening.remove(pidfile(spec.directory))
        written = opening.read_bytes(log, 2 * _LARGEST_LOG) or b""
        words = written[began:].decode("utf-8", "replace")[-2000:].strip()
        raise HostError(f"The agent ended at once with exit code {agent.returncode}. The end of its log:\n{words}")
    restart_due.done(spec.directory)


def stop(directory: str, drain_seconds: int) -> None:
    """Tell the agent to stop, wait for its job to end, and end both by force when that takes too long."""
    pid = running(directory)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not _gone(directory, drain_seconds + _KILL_SECONDS):
            # It leads its session: steps that it started in its own process group go with it.
            os.killpg(pid, signal.SIGKILL)
            _gone(directory, _KILL_SECONDS)
    opening.remove(pidfile(directory))


def _gone(directory: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(directory) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _environment(spec: AgentSpec) -> Dict[str, str]:
    """Make the variables that systemd would give it: none of this connection's are among them."""
    base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    base.update(HOME=_home(spec), USER=spec.user, LOGNAME=spec.user)
    return {**base, **parse(read_text(spec.env_file) or "")}


def _home(spec: AgentSpec) -> str:
    """Return the account's home; the data directory where that is no directory, as of an account without any."""
    home = pwd.getpwnam(spec.user).pw_dir
    return home if os.path.isdir(home) else spec.data


def _write_pidfile(spec: AgentSpec, pid: int) -> None:
    # The agent's guard of an update writes into it, too.
    owner = Attributes(0o644, spec.user, spec.group) if os.geteuid() == 0 else Attributes(0o644)
    write_file(pidfile(spec.directory), f"{pid} {_started(pid)}\n".encode("ascii"), owner)


def _owner(pid: int) -> Optional[int]:
    """Return the account that a process is of; None when it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def _has_ended_at_once(agent: "subprocess.Popen[bytes]") -> bool:
    """Wait until an agent that was just started has ended, or has come so far that it waits for something."""
    began = time.monotonic()
    while agent.poll() is None:
        lived = time.monotonic() - began
        if lived >= _LONGEST_START_SECONDS or (lived >= _SETTLE_SECONDS and _stat(agent.pid)[:1] == ["S"]):
            return False
        time.sleep(0.05)
    return True


def _started(pid: int) -> Optional[str]:
    """Return field 22 of /proc/PID/stat (proc(5)); None for a process that has ended or is a zombie."""
    fields = _stat(pid)
    return None if not fields or fields[0] == "Z" else fields[19]


def _stat(pid: int) -> "list[str]":
    """Return the fields of /proc/PID/stat from the third on, which is the state; nothing when there is no process."""
    return (read_text(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()


def _command_line(pid: int) -> "list[str]":
    return (read_text(f"/proc/{pid}/cmdline") or "").split("\0")
