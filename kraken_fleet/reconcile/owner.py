"""Which process makes groups for a while, and whether it still lives."""

from __future__ import annotations

import hashlib
import os
import socket
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from kraken_fleet.model import Owner, OwnGroup

# A process of another machine is believed to live for so long. No proof takes an hour; an upgrade may wait for jobs.
_PATIENCE = {"proof": timedelta(hours=1), "upgrade": timedelta(hours=6)}
_START_TIME = 19  # the place of field 22 of /proc/PID/stat behind the name of the command


def owner_of(pid: int) -> Owner:
    """Return what stands for a process of this machine."""
    return Owner(_machine(), pid, _started(pid) or 0)


def is_left(group: OwnGroup, now: datetime) -> bool:
    """Say whether the process that made a group has ended without removing it.

    Args:
        now: by the server's clock. Of another machine's processes only the time is known.
    """
    if group.owner.host == _machine():
        # The time of its start tells a process from a later one with the same number.
        return _started(group.owner.pid) != group.owner.started
    return now.timestamp() - group.since > _PATIENCE[group.kind].total_seconds()


@lru_cache(maxsize=1)
def _machine() -> str:
    """Identify this machine since its start, and the container in which process ids mean something."""
    parts = [socket.gethostname(), _read("/etc/machine-id"), _read("/proc/sys/kernel/random/boot_id")]
    try:
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        parts.append("")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _started(pid: int) -> int | None:
    """Say when a process began; 0 where the system does not say, None when there is none."""
    if not Path("/proc/self/stat").exists():
        return 0 if _answers(pid) else None
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # Behind the last bracket: the name of the command may have blanks and brackets of its own.
    fields = text.rpartition(")")[2].split()
    # A zombie has ended; only its parent has not asked how.
    return None if fields[0] == "Z" else int(fields[_START_TIME])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
