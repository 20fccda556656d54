"""Ends everything below a process, also what has left its group and session."""

from __future__ import annotations

import os
import signal
import time

from kraken_agent.tools.processes import children_of_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

_PR_SET_CHILD_SUBREAPER = 36
_PAUSE_SECONDS = 0.01


def adopt_orphans() -> bool:
    """Make daemons that a step leaves behind children of the agent, so that it can end them.

    Returns:
        whether the kernel and the C library do that.
    """
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def kill_children(reap: Callable[[], None], seconds: float) -> int:
    """Kill the children of this process until there are none, and so everything that stems from them.

    Once `adopt_orphans` was called, whoever loses its parent becomes a child of this process. So nobody needs to know
    the whole tree. A process that forks and ends at once is caught too: a look at the children takes less time.

    Args:
        reap: collects the children that have ended.
        seconds: after so long the processes that are left are another user's, or cannot be killed at the moment.

    Returns:
        how many are left.
    """
    end = time.monotonic() + seconds
    before: List[int] = []
    while True:
        reap()
        left = _own_children()
        if not left or time.monotonic() >= end:
            return len(left)
        if left == before:
            # Who forks all the time has another child by now, and is not waited for.
            time.sleep(_PAUSE_SECONDS)
        before = left
        for pid in left:
            signal_one(pid, signal.SIGKILL)


def _own_children() -> List[int]:
    own = os.getpid()
    try:
        # Much less work than going through /proc. A kernel without CONFIG_PROC_CHILDREN has no such file.
        with open(f"/proc/self/task/{own}/children", "rb", buffering=0) as file:
            return [int(pid) for pid in file.readall().split()]
    except (OSError, ValueError):
        return children_of_all().get(own, [])


def signal_group(group: int, number: int) -> None:
    """Signal a process group; harmless when it is gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def signal_one(pid: int, number: int) -> None:
    """Signal a process; harmless when it is gone or another user's."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
