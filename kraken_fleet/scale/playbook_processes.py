"""The processes of an ansible-playbook: it and its forks, so that they can be ended with whoever has begun it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

# The places of these fields of /proc/PID/stat behind the name of the program.
_STATE, _PARENT, _START_TIME = 0, 1, 19
_PAUSE = 0.1


class PlaybookProcesses:
    """Remembers each ansible-playbook that a process has begun, with its forks.

    A process whose parent has ended is a child of another one from then on, such as a fork of an ansible-playbook that
    was killed. So they have to be looked at while all of them live. What works on a host is none of them: a host on
    this machine keeps the agent that was started there, as one behind SSH does.

    Args:
        root: the process.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        # When each one began: a process id is given again to others.
        self._seen: dict[int, int] = {}

    def look(self) -> None:
        """Remember those that live now, and those of earlier ones that have lost their parents."""
        living = _living()
        # Parents stand before their children.
        found = [self._root, *self._left()]
        for pid in found:
            children = [child for child, (parent, _) in living.items() if parent == pid and child not in found]
            found += filter(_is_playbook, children)
        # A new one each time: another thread may go through the old one.
        self._seen = self._seen | {pid: living[pid][1] for pid in found[1:] if pid in living}

    def end(self, patience: float) -> None:
        """Wait until they have ended, those of before and those that live now, and kill those that have not.

        Args:
            patience: seconds to wait.
        """
        self.look()
        deadline = time.monotonic() + patience
        while self._left() and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        self.kill()

    def kill(self) -> None:
        """Kill them, and none that was begun by others."""
        self.look()
        for pid in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left(self) -> list[int]:
        living = _living()
        return [pid for pid, started in self._seen.items() if pid in living and living[pid][1] == started]


def _is_playbook(pid: int) -> bool:
    """Tell whether a process runs ansible-playbook; a fork has the command line of what it was forked from."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        # Python stands before the name of the script.
        return any(Path(os.fsdecode(word)).name == "ansible-playbook" for word in words[:2])
    return False


def _living() -> dict[int, tuple[int, int]]:
    """Return parent and start time of each process that has not ended."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            # The name of a program stands in brackets before the other fields, and may have blanks and brackets itself.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if fields[_STATE] != "Z":
                found[int(stat.parent.name)] = (int(fields[_PARENT]), int(fields[_START_TIME]))
    return found
