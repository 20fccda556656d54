"""The processes of an ansible-playbook: it and its forks, so that they can be ended with whoever has begun it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from kraken_fleet.processes import ProcessRef, running

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
        self._seen: frozenset[ProcessRef] = frozenset()

    def look(self) -> None:
        """Remember those that live now, and those of earlier ones that have lost their parents."""
        living = running()
        # Parents stand before their children.
        found = [self._root, *(process.pid for process in self._left())]
        for pid in found:
            children = [child for child, process in living.items() if process.parent == pid and child not in found]
            found += filter(_is_playbook, children)
        # A new one each time: another thread may go through the old one.
        self._seen |= {ProcessRef(pid, living[pid].started) for pid in found[1:] if pid in living}

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
        for process in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _left(self) -> list[ProcessRef]:
        return [process for process in self._seen if process.alive]


def _is_playbook(pid: int) -> bool:
    """Tell whether a process runs ansible-playbook; a fork has the command line of what it was forked from."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        # Python stands before the name of the script.
        return any(Path(os.fsdecode(word)).name == "ansible-playbook" for word in words[:2])
    return False
