"""The guard of an update: sees whether the new agent comes up, and brings the old one back when not."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NamedTuple

from kraken_agent.reactor import forget_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

_GUARD_SECONDS = 60.0
_PAUSE_SECONDS = 0.1


class Trial(NamedTuple):
    """What the guard has to know.

    Attributes:
        is_over: whether the new agent has said that it works.
        accept: makes the new version the current one, and notes it.
        reject: notes that the new version failed.
        old: starts the current version; used where no service manager does.
        pid_file: where the provisioner keeps the agent's process id without a service manager.
    """

    is_over: Callable[[], bool]
    accept: Callable[[], None]
    reject: Callable[[], None]
    old: List[str]
    pid_file: str


def fork_guard(trial: Trial) -> None:
    """Fork the guard of this process, which is about to become the new agent.

    The new agent has come up when it says so, or, since upstream's would not, when it is still there after a minute.
    A service manager ends the guard together with an agent that dies, and starts the current version: the old one.
    """
    agent = os.getpid()
    began = _start_time(agent)
    if os.fork():
        return
    try:
        forget_in_child()
        # A session of its own: a signal to the agent's process group must not end the guard.
        os.setsid()
        _guard(agent, began, trial)
    except BaseException as error:  # noqa: BLE001 - nothing may come back from here into the agent's own code
        sys.stderr.write(f"the guard of the update failed: {error!r}\n")
    finally:
        os._exit(0)


def _guard(agent: int, began: str, trial: Trial) -> None:
    asked: List[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    end = time.monotonic() + float(os.environ.get("KRAKEN_AGENT_UPDATE_GUARD_SECONDS") or _GUARD_SECONDS)
    while os.getppid() == agent:
        if asked or trial.is_over():
            return
        if time.monotonic() >= end:
            trial.accept()
            return
        time.sleep(_PAUSE_SECONDS)
    if trial.is_over():
        return
    trial.reject()
    sys.stderr.write("the new version of the agent did not come up; the old one is back\n")
    # systemd sets this variable for each service, and then starts the agent again itself (systemd.exec(5)).
    if not os.environ.get("INVOCATION_ID"):
        _start_again(f"{agent} {began}", trial)


def _start_again(known_as: str, trial: Trial) -> None:
    """Without a service manager, become the old agent, known under this process's id."""
    try:
        with open(trial.pid_file, encoding="ascii") as file:
            is_ours = file.read().strip() == known_as
        if is_ours:
            with open(trial.pid_file, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()} {_start_time(os.getpid())}\n")
    except OSError:
        # No provisioner keeps a file of it.
        is_ours = False
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.execv(trial.old[0], trial.old)


def _start_time(pid: int) -> str:
    """Return when a process began, in clock ticks after the boot: field 22 of /proc/PID/stat; exec keeps it."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[19]
