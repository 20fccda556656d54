"""Stops a child when its own time, the job's or the agent's is over."""

from __future__ import annotations

import time

from kraken_agent import outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from kraken_agent.process import Process
    from kraken_agent.reactor import Reactor, Timer

_LOOK_SECONDS = 1.0


class TimeLimit:
    """Limits the time of a child by timers, so that it holds also while the agent waits for a slow server.

    Args:
        process: the child.
        deadline: when its own time is over; it does not pay for the time that it waits for the log.
        job_deadline: when the job's time is over.
        should_stop: true when the agent is to end the job now.

    Attributes:
        reason: why the child was stopped, a word of `outcome`; empty when it was not.
    """

    def __init__(
        self,
        reactor: Reactor,
        process: Process,
        deadline: float,
        job_deadline: float,
        should_stop: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._process = process
        self._deadline = deadline
        self._job_deadline = job_deadline
        self._should_stop = should_stop
        self.reason = ""
        self._timer: Optional[Timer] = None
        self._look()

    def close(self) -> None:
        """End the limit; the child runs on."""
        self._reactor.cancel(self._timer)

    def _look(self) -> None:
        if self._process.has_ended:
            return
        own = self._deadline + self._process.held_seconds
        now = time.monotonic()
        if self._should_stop():
            self.reason = outcome.STOPPING
        elif now >= self._job_deadline:
            self.reason = outcome.JOB_TIMEOUT
        elif now >= own:
            self.reason = outcome.STEP_TIMEOUT
        if self.reason:
            self._process.stop()
        else:
            self._timer = self._reactor.call_at(min(now + _LOOK_SECONDS, own, self._job_deadline), self._look)
