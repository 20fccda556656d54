"""Limits the time that unknown clients take, so that known agents do not wait behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

# A pause shorter than this is not worth a timer: it is added to the next one.
_SHORTEST_PAUSE = 0.004
_LONGEST_PAUSE = 0.1


class Turns:
    """Lets through one piece of unknown clients' work at a time, and after it a pause that is as long.

    So unknown clients get at most half of the server's time, however many they are, and a server that has to share its
    machine has time left when a known agent comes.

    Args:
        clock: monotonic seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._owed = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, in the order of asking; the pause is at its end."""
        async with self._lock:
            begin = self._clock()
            try:
                yield
            finally:
                self._owed += self._clock() - begin
                pause = min(self._owed, _LONGEST_PAUSE) if self._owed >= _SHORTEST_PAUSE else 0.0
                if pause:
                    self._owed = 0.0
                await asyncio.sleep(pause)
