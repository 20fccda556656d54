"""The guard of an update: sees whether the new agent comes up, and brings the old one back when not."""

from __future__ import annotations

import os
import signal
import sys
import time

from kraken_agent.reactor import forget_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

    Check = Callable[[], bool]
    Action = Callable[[], None]

_WATCH_SECONDS = 60.0
_LOOK_SECONDS = 0.1


def fork_guard(is_up: Check, go_back: Action, argv: List[str], pid_file: str) -> None:
    """Fork the guard of this process, which is about to become the new agent.

    The new agent has come up when it says so, or, since upstream's would not, when it is still there after a minute.

    Args:
        is_up: whether the new agent has said so.
        go_back: makes the old version the current one.
        argv: starts the current version; used where no service manager starts it again.
        pid_file: where the provisioner keeps the agent's process id without a service manager.
    """
    agent = os.getpid()
    if os.fork():
        return
    try:
        forget_in_child()
        os.setsid()
        _watch(agent, is_up, go_back, argv, pid_file)
    except BaseException as error:  # noqa: BLE001 - nothing may come back from here into the agent's own code
        sys.stderr.write(f"the guard of the update failed: {error!r}\n")
    finally:
        os._exit(0)


def _watch(agent: int, is_up: Check, go_back: Action, argv: List[str], pid_file: str) -> None:
    asked: List[int] = []
    # A service manager ends the whole group when the new agent dies; a second is enough to go back before that.
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    end = time.monotonic() + float(os.environ.get("KRAKEN_AGENT_UPDATE_WATCH_SECONDS") or _WATCH_SECONDS)
    while os.getppid() == agent:
        if asked or is_up() or time.monotonic() >= end:
            return
        time.sleep(_LOOK_SECONDS)
    if is_up():
        return
    go_back()
    sys.stderr.write("the new version of the agent did not come up; the old one is back\n")
    if not os.environ.get("INVOCATION_ID"):
        _start_again(agent, argv, pid_file)


def _start_again(agent: int, argv: List[str], pid_file: str) -> None:
    """Without a service manager, become the old agent, known under this process's id."""
    try:
        with open(pid_file, encoding="ascii") as file:
            is_ours = file.read().strip() == str(agent)
        if is_ours:
            with open(pid_file, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
    except OSError:
        # No provisioner keeps a file of it.
        is_ours = False
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.execv(argv[0], argv)
