"""Who is whose child: finds and ends everything below a process, also what has left its group and session."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> bool:
    """From now on daemons that a step leaves behind become children of the agent, so that it can end them.

    Returns:
        whether the kernel and the C library do that.
    """
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def descendants(pid: int) -> List[int]:
    """The process ids of everything below a process; empty where there is no /proc."""
    children = _children()
    found: List[int] = []
    waiting = [pid]
    while waiting:
        below = [child for child in children.get(waiting.pop(), ()) if child not in found]
        found += below
        waiting += below
    return found


def _children() -> Dict[int, List[int]]:
    children: Dict[int, List[int]] = {}
    try:
        entries = os.listdir("/proc")
    except OSError:
        return children
    for entry in entries:
        if entry.isdigit():
            parent = _parent(entry)
            if parent:
                children.setdefault(parent, []).append(int(entry))
    return children


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The name, in parentheses, may contain anything; the parent is the second field after it.
            return int(file.read(1024).rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


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
