"""Ending jobs that nobody wants any more, or that nobody can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError
from kraken_fleet.model import Job
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.events import Changed, Event, Failed
from kraken_fleet.reconcile.parallel import each

_INTERVAL = 1.0


def cancel_jobs(
    client: KrakenClient, jobs: Sequence[Job], *, wait: float = 0.0, concurrency: int = 8, clock: Clock | None = None
) -> Iterator[Event]:
    """Cancel jobs; those that are over stay as they are.

    Args:
        wait: seconds to wait until they are over: an agent learns of it when it asks for the next step.

    Raises:
        PartialFailureError: at the end: some could not be cancelled, or are not over in that time.
    """
    clock = clock or SystemClock()
    failures: dict[str, str] = {}
    waiting: dict[int, Job] = {}
    for job, error in each([job for job in jobs if not job.over], lambda one: client.cancel_job(one.id), concurrency):
        if error:
            failures[named(job)] = str(error)
            yield Failed(subject=named(job), reason=str(error))
        else:
            waiting[job.id] = job
            yield Changed(subject=named(job), state="cancelled")
    started = clock.now()
    while wait and waiting:
        for number in [number for number in waiting if client.job(number).over]:
            yield Changed(subject=named(waiting.pop(number)), state="over")
        if waiting and clock.now() - started >= wait:
            break
        if waiting:
            clock.sleep(_INTERVAL)
    for job in waiting.values() if wait else ():
        failures[named(job)] = f"is not over after {wait:g} s"
        yield Failed(subject=named(job), reason=failures[named(job)])
    if failures:
        raise PartialFailureError(f"{len(failures)} of {len(jobs)} jobs could not be cancelled", failures=failures)


def named(job: Job) -> str:
    """Return how people tell a job from others."""
    return f"job {job.id} ({job.name})"
