"""Who is whose child, as /proc says; the agent and kktool share it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List


def descendants(pid: int) -> List[int]:
    """Return the process ids of everything below a process; empty where there is no /proc."""
    children = children_of_all()
    found: List[int] = []
    left = [pid]
    while left:
        below = [child for child in children.get(left.pop(), ()) if child not in found]
        found += below
        left += below
    return found


def children_of_all() -> Dict[int, List[int]]:
    """Return the process ids of the children of each process that has some."""
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
