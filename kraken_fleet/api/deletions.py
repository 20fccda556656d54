"""Deleting agents no faster than the server does it, whoever else deletes some at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from kraken_fleet.api.pacing import DELETE_BURST, DELETE_INTERVAL, Pacer
from kraken_fleet.api.session import Session
from kraken_fleet.api.shape import as_list, as_object, text
from kraken_fleet.errors import NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError

# What the server's queue runs for each deleted agent (delete_agent in kraken/server/management.py, 1.7.36).
_DELETION = "destroy_machine"
_INTERVAL = 0.5
# A queue that stands still is somebody else's trouble: after so many seconds the next deletion is sent all the same.
_PATIENCE = 300.0
_DOES_NOT_TELL = (RequestRejectedError, NotPermittedError, ServerFaultError, UnexpectedAnswerError)


class DeletionPace:
    """Says when the next agent may be deleted. Usable from several threads.

    Each deletion is background work in the one queue that also completes jobs: a second on a server at rest, ten and
    more on a busy one. So the server is asked what its queue has done. The next deletion waits until our last one is
    over and the server works on none of somebody else, so no client ever has more than one in the queue. A server that
    does not tell gets deletions at the pace that a server at rest can bear.

    Args:
        now, sleep: a monotonic clock in seconds, and what waits on it.
    """

    def __init__(
        self,
        session: Session,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._pacer = Pacer(DELETE_BURST, DELETE_INTERVAL, now=now, sleep=sleep)
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        self._last: int | None = None
        self._tells = True

    def wait(self, agent_id: int) -> None:
        """Return when this agent may be deleted.

        Raises:
            ServerError: see kraken_fleet.errors.
        """
        with self._lock:
            self._pacer.wait()
            if self._last is not None:
                until = self._now() + _PATIENCE
                while self._is_busy_after(self._last) and self._now() < until:
                    self._sleep(_INTERVAL)
            self._last = agent_id

    def forget(self, agent_id: int) -> None:
        """Do not wait for the end of a deletion that the server has refused: it is in no queue."""
        with self._lock:
            if self._last == agent_id:
                self._last = None

    def _is_busy_after(self, agent_id: int) -> bool:
        """Say whether the deletion of this agent is still to be done, or another one is being done."""
        if not self._tells:
            return False
        try:
            queue = self._session.request("GET", "/diagnostics").decoded(_queue)
        except _DOES_NOT_TELL:
            self._tells = False
            return False
        return f"({agent_id})" not in queue.over or bool(queue.current)


class _Queue(NamedTuple):
    """The deletions that a server's queue works on and those that are over, each as its argument: `(17)`."""

    current: frozenset[str]
    over: frozenset[str]


def _queue(data: object) -> _Queue:
    """Return what the diagnostics say of deletions. The rest, which has a password in it, is not looked at."""
    queue = as_object(as_object(data, "the diagnostics").get("rq"), "rq")
    return _Queue(_deletions(queue, "current_jobs"), _deletions(queue, "finished_jobs", "failed_jobs"))


def _deletions(queue: Mapping[str, object], *lists: str) -> frozenset[str]:
    jobs = [as_object(job, "a job of the queue") for name in lists for job in as_list(queue.get(name), name)]
    # RQ describes a job as the call that it is: the function's dotted name, then its arguments in parentheses.
    called = (text(job, "description").partition(_DELETION) for job in jobs)
    return frozenset(argument for _, found, argument in called if found)
