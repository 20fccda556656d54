"""Which branch a verification runs its flow in: one that nobody else changes meanwhile.

A flow runs whatever stage its branch has at that moment. So each of several verifications at once takes another branch:
those of one account on one machine by locks in the state directory, those of others by another name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kraken_fleet.state import state_dir

# Without a state directory: shared by all, and a run that is made from somebody else's stage is given up.
SHARED = "verify"
_MOST = 64


@contextmanager
def own_branch(directory: Path | None = None) -> Iterator[str]:
    """Make a branch of this process's own, give its name, and remove it when the block ends, however it ends.

    Args:
        directory: the state directory.
    """
    folder = (state_dir() if directory is None else directory) / "proofs"
    handle, number = -1, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Locks, and no files that are made and removed: the system releases a lock when its process is killed.
        for number in range(1, _MOST + 1):
            handle = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                os.close(handle)
                handle = -1
    except OSError:
        handle = -1
    try:
        yield f"{SHARED}-{_here(folder)}-{number}" if handle >= 0 else SHARED
    finally:
        if handle >= 0:
            os.close(handle)


def _here(folder: Path) -> str:
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        machine = ""
    parts = (socket.gethostname(), machine, str(folder.resolve()))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
