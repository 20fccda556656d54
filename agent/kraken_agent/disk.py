"""Keeps the disk of the data directory: has old things removed after jobs, and knows when there is no room for one."""

from __future__ import annotations

import time

from kraken_agent.process import Process
from kraken_agent.resources import disk_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set

    from kraken_agent.config import Config
    from kraken_agent.keeping import Keeping
    from kraken_agent.logs import Log
    from kraken_agent.reactor import Reactor

# What an earlier look could not remove may be free a minute later, for example an image that was in use.
_TIDY_AGAIN_SECONDS = 60.0
_TIDY_SECONDS = 120.0
# Once an agent takes no job, it takes some again only with so much more room than it needs: else it would change often.
_ROOM_AGAIN = 1.1
# Things are removed while there is still room for a job: less than so many times what is needed.
_LOW = 2.0


class Disk:
    """The disk of one data directory.

    Args:
        reactor: turns while things are removed.
        log: told what is removed to make room, once what cannot be, and when the agent takes no job.
        data_dir: the agent's.
        is_stopping: true when the agent is to stop: what is left to remove can wait.
    """

    def __init__(self, reactor: Reactor, log: Log, data_dir: str, is_stopping: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._log = log
        self._data_dir = data_dir
        self._is_stopping = is_stopping
        self._tidying: Optional[Process] = None
        self._told: Set[str] = set()
        self._tidy_at = 0.0
        self.why_no_jobs = ""

    def after_job(self, config: Config) -> None:
        """Remove what is too old or too much, in a child; the next `look` waits for it."""
        from kraken_agent import tidying

        keeping = config.keeping
        if tidying.is_due(self._data_dir, keeping):
            self._tidying = self._start(keeping, self._wanted(keeping))

    def look(self, config: Config) -> str:
        """Return why the agent must take no job now; empty when it may. Tries to make room before that."""
        if self._tidying is not None:
            # It removes what was there when it looked last: the directory and the tools of the next job, too.
            self._wait_for(self._tidying)
            self._tidying = None
        keeping = config.keeping
        needed, space = keeping.needed(self._data_dir), disk_space(self._data_dir)
        if not needed or space is None:
            return self._settle("")
        if space.free < needed * _LOW and time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _TIDY_AGAIN_SECONDS
            self._make_room(keeping)
            space = disk_space(self._data_dir) or space
        enough = needed * (_ROOM_AGAIN if self.why_no_jobs else 1.0)
        if space.free >= enough:
            return self._settle("")
        return self._settle(
            f"the disk of {self._data_dir} has {_shown(space.free)} free, and the agent needs {_shown(needed)}"
        )

    def _settle(self, reason: str) -> str:
        """Say what is new. The amount of free space is not: it changes all the time."""
        if bool(reason) != bool(self.why_no_jobs):
            if reason:
                self._log.warning(f"this agent takes no jobs: {reason}. Make room on the disk")
            else:
                self._log.info("there is room on the disk: this agent takes jobs again")
            self.why_no_jobs = reason
        return self.why_no_jobs

    def _make_room(self, keeping: Keeping) -> None:
        self._wait_for(self._start(keeping, self._wanted(keeping)))

    def _wait_for(self, process: Process) -> None:
        limit = time.monotonic() + _TIDY_SECONDS
        self._reactor.run_until(lambda: process.has_ended or self._is_stopping(), limit)
        process.stop()
        self._reactor.run_until(lambda: process.has_ended)

    def _wanted(self, keeping: Keeping) -> int:
        return int(keeping.needed(self._data_dir) * _LOW)

    def _start(self, keeping: Keeping, wanted: int) -> Process:
        from kraken_agent import tidying

        output: List[bytes] = []
        process = Process(
            self._reactor,
            lambda send: tidying.tidy(self._data_dir, keeping, wanted, send),
            output.append,
            lambda: self._warn(b"".join(output)),
        )
        process.on_message = self._note
        return process

    def _note(self, message: Dict[str, Any]) -> None:
        self._log.info(str(message.get("removed") or ""))

    def _warn(self, output: bytes) -> None:
        for line in output.decode("utf-8", "replace").splitlines():
            # The size may grow, and is not worth saying again.
            what = line.partition(":")[0]
            if what not in self._told:
                self._told.add(what)
                self._log.warning(line)


def _shown(size: float) -> str:
    """Write a number of bytes for people, as with `df -h`: 1.5 GiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit in ("bytes", "KiB") or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
