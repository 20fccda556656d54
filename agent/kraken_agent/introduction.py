"""What the agent tells the server of its host, and whether that is still true."""

from __future__ import annotations

import time

from kraken_agent import hostinfo, resources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    from kraken_agent.config import Config
    from kraken_agent.detect import Engines
    from kraken_agent.disk import Disk

# Free space is told again when it has changed by this part of the disk: less is not worth a message.
_PART_OF_DISK = 0.05
# Likewise the difference of clocks, in seconds.
_CLOCK_SECONDS = 10
# A clock that is set again and again must not keep the agent from its jobs.
_CLOCK_AGAIN_SECONDS = 300.0


class Introduction:
    """Remembers what the server was told.

    Args:
        engines: which executors the agent offers.
        disk: whether there is room for jobs.
        clock_ahead: by how many seconds the host's clock is ahead of the server's; None when that is not known.
    """

    def __init__(self, engines: Engines, disk: Disk, clock_ahead: Callable[[], Optional[int]]) -> None:
        self._disk = disk
        self._told_no_jobs = False
        self._engines = engines
        self._told_engines: Dict[str, str] = {}
        self._told_host: Dict[str, int] = {}
        self._clock_ahead = clock_ahead
        self._told_clock = 0
        self._clock_again = 0.0

    def make(self, config: Config) -> Dict[str, Any]:
        """Return the `info` of host-info, as it is true now."""
        info = hostinfo.collect(config, self._engines.found, self._engines.not_offered)
        self._told_engines = {**self._engines.not_offered, **self._engines.found}
        self._told_host = info["kraken_fleet_host"]
        self._told_no_jobs = bool(self._disk.why_no_jobs)
        ahead = self._clock_ahead()
        self._told_clock = ahead or 0
        if ahead is not None:
            info["kraken_fleet_clock_ahead"] = ahead
            self._clock_again = time.monotonic() + _CLOCK_AGAIN_SECONDS
        if self._told_no_jobs:
            info["kraken_fleet_no_jobs"] = self._disk.why_no_jobs
        return info

    def has_news(self, config: Config) -> bool:
        """Return whether the server was told something else than what is true now."""
        if self._told_engines != {**self._engines.not_offered, **self._engines.found}:
            return True
        if self._told_no_jobs != bool(self._disk.why_no_jobs):
            return True
        # Before the first answer nothing is known, and nobody need be told twice of a clock that is right.
        if (
            abs((self._clock_ahead() or 0) - self._told_clock) > _CLOCK_SECONDS
            and time.monotonic() >= self._clock_again
        ):
            return True
        told, space = self._told_host.get("disk_free"), resources.disk_space(config.data_dir)
        return told is not None and space is not None and abs(space.free - told) > _PART_OF_DISK * space.whole
