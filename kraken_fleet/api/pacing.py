"""Holding back what a Kraken server accepts faster than it can do it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Each deleted agent costs a real server at rest about 1.15 s of background work, done one after another by the process
# that also completes jobs (20 deletes: 23.1 s, krakenci-server 1.7.36); 10 s on one whose processors are busy.
DELETE_BURST = 5
DELETE_INTERVAL = 1.2


class Pacer:
    """Lets `burst` calls pass at once and then one every `interval` seconds. Usable from several threads.

    Args:
        now, sleep: a monotonic clock in seconds, and what waits on it.
    """

    def __init__(
        self,
        burst: int,
        interval: float,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._allowance = burst * interval
        self._interval = interval
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        self._busy_until = float("-inf")  # when the server will have done all that was let through

    def wait(self) -> None:
        """Return when the next call may be made."""
        with self._lock:
            now = self._now()
            self._busy_until = max(self._busy_until, now) + self._interval
            pause = self._busy_until - now - self._allowance
        if pause > 1e-6:  # less is what rounding left over
            self._sleep(pause)
