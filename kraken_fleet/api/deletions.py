"""Deleting agents no faster than the server does it, whoever else deletes some at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable

from kraken_fleet.api.pacing import DELETE_BURST, DELETE_INTERVAL, Pacer
from kraken_fleet.api.session import Session
from kraken_fleet.api.shape import as_list, as_object, text
from kraken_fleet.errors import NotPermittedError, RequestRejectedError, ServerFaultError, UnexpectedAnswerError

# What the server's queue runs for each deleted agent (delete_agent in kraken/server/management.py, 1.7.36).
_DELETION = "destroy_machine"
_INTERVAL = 0.5
# A queue that stands still is somebody else's trouble: after so many seconds the next deletion is sent all the same.
_PATIENCE = 60.0
_DOES_NOT_TELL = (RequestRejectedError, NotPermittedError, ServerFaultError, UnexpectedAnswerError)


class DeletionPace:
    """Says when the next agent may be deleted. Usable from several threads.

    Each deletion is background work in the one queue that also completes jobs: a second on a server at rest, ten and
    more on a busy one. So the server itself is asked what its queue is doing, and while that is a deletion, one of ours
    or somebody else's, the next one waits. The first of a client passes at once. A server that does not tell, as the
    embedded one, which has no such queue, is left to the pace that a server at rest can bear.

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
        self._is_first = True
        self._tells = True

    def wait(self) -> None:
        """Returns when the next deletion may be sent.

        Raises:
            ServerError: see kraken_fleet.errors.
        """
        self._pacer.wait()
        if not self._is_first:
            until = self._now() + _PATIENCE
            while self._is_deleting() and self._now() < until:
                self._sleep(_INTERVAL)
        self._is_first = False

    def _is_deleting(self) -> bool:
        if not self._tells:
            return False
        try:
            return self._session.request("GET", "/diagnostics").decoded(_names_a_deletion)
        except _DOES_NOT_TELL:
            self._tells = False
            return False


def _names_a_deletion(data: object) -> bool:
    """Whether the queue works on a deletion. The rest of the answer, which has a password in it, is not looked at."""
    queue = as_object(as_object(data, "the diagnostics").get("rq") or {}, "rq")
    jobs = [as_object(job, "a job of the queue") for job in as_list(queue.get("current_jobs") or [], "current_jobs")]
    return any(text(job, "func_name").rpartition(".")[2] == _DELETION for job in jobs)
