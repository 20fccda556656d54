"""Directories for what a step needs on the disk only while it runs: scripts, keys, tokens, archives.

A step's process makes one and may be killed at any moment. So the agent removes it when the process has ended, and
those of an agent that was killed at the next start: the names say which agent and which process they belong to.
"""

from __future__ import annotations

import os
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

# Tells the tools of the step where the directory is.
VARIABLE = "KRAKEN_STEP_FILES"


def make(data_dir: str) -> str:
    """Make a directory for this process, which only its account can enter; return its path."""
    path = os.path.join(_parent(), f"{_prefix(data_dir, os.getpid())}{os.urandom(8).hex()}")
    os.mkdir(path, 0o700)
    return path


def remove(data_dir: str, pid: Optional[int] = None) -> None:
    """Remove the directories of a process that has ended, or of all processes of an agent."""
    prefix = _prefix(data_dir, pid)
    try:
        names = [name for name in os.listdir(_parent()) if name.startswith(prefix)]
    except OSError:
        return
    for name in names:
        path = os.path.join(_parent(), name)
        # Anybody may put something under such a name into a directory that everybody can write to.
        if os.path.isdir(path) and not os.path.islink(path) and os.lstat(path).st_uid == os.geteuid():
            _remove_tree(path)


def _remove_tree(path: str) -> None:
    """Remove a directory; what this account may not remove stays. `shutil` would stay in the agent's memory."""
    for directory, directories, files in os.walk(path, topdown=False):
        for name in [*files, *directories]:
            entry = os.path.join(directory, name)
            _attempt(os.rmdir if name in directories and not os.path.islink(entry) else os.unlink, entry)
    _attempt(os.rmdir, path)


def _attempt(action: Callable[[str], None], path: str) -> None:
    try:
        action(path)
    except OSError:
        return


def _parent() -> str:
    return os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the names end in random letters, and mkdir follows no link


def _prefix(data_dir: str, pid: Optional[int]) -> str:
    agent = f"kraken-step-{zlib.crc32(data_dir.encode('utf-8', 'surrogateescape')):08x}-"
    return agent if pid is None else f"{agent}{pid}-"
