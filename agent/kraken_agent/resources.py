"""What the host has: processors, memory, and the space on the disk of the data directory."""

from __future__ import annotations

import os
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

_GROUP = "/sys/fs/cgroup"


class Space(NamedTuple):
    """The size of a disk, and how much of it this account may still write, in bytes."""

    whole: int
    free: int


def measure(data_dir: str, group: str = _GROUP) -> Dict[str, int]:
    """Return what the host has, sizes in bytes; what cannot be found out is left out.

    Args:
        data_dir: the disk that counts is that of this directory.
        group: the control group whose limits count, which in a container is the container's own.
    """
    whole, free = disk_space(data_dir) or (None, None)
    found = {"cpus": _cpus(group), "memory": _memory(group), "disk": whole, "disk_free": free}
    return {name: value for name, value in found.items() if value is not None}


def disk_space(path: str) -> Optional[Space]:
    """Return the space on the disk of a path; None when nobody can say."""
    try:
        state = os.statvfs(path)
    except OSError:
        return None
    return Space(state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize)


def _cpus(group: str) -> Optional[int]:
    """Return the processors that the agent may use: `cpu.max` has microseconds in each period, or `max`."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    most, _, period = _text(f"{group}/cpu.max").partition(" ")
    if count and most.isdigit() and period.strip().isdigit() and int(period) > 0:
        return min(count, max(1, round(int(most) / int(period))))
    return count


def _memory(group: str) -> Optional[int]:
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    # cgroup-v2, then cgroup-v1, which says a very large number for no limit.
    limits = [_text(f"{group}/memory.max"), _text(f"{group}/memory/memory.limit_in_bytes")]
    return min([whole, *(int(limit) for limit in limits if limit.strip().isdigit())])


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(256)
    except OSError:
        return ""
