"""Applying a plan from the page: one run at a time, in the background, its progress there for everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kraken_fleet.errors import FleetError
from kraken_fleet.reconcile import Done, Event, Failed, Finished


@dataclass(slots=True)
class Run:
    """One application of a plan. `outcome` is empty while it goes on."""

    user: str
    total: int
    done: int = 0
    failures: list[str] = field(default_factory=list)
    outcome: str = ""


class Applying:
    """The run that goes on, or the last one.

    Args:
        on_end: called after each run, for the cache and the access log.
    """

    def __init__(self, on_end: Callable[[Run], None]) -> None:
        self._on_end = on_end
        self._lock = threading.Lock()
        self._run: Run | None = None

    @property
    def run(self) -> Run | None:
        return self._run

    def start(self, user: str, total: int, events: Iterator[Event]) -> bool:
        """Begins a run; False when another one goes on."""
        with self._lock:
            if self._run is not None and not self._run.outcome:
                return False
            self._run = Run(user, total)
        threading.Thread(target=self._follow, args=(self._run, events), name="applying", daemon=True).start()
        return True

    def _follow(self, run: Run, events: Iterator[Event]) -> None:
        outcome = "done"
        try:
            for event in events:
                _count(run, event)
        except FleetError as error:
            outcome = str(error)
        except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell: the page must not wait for ever
            outcome = f"it broke: {error!r}"
        finally:
            run.outcome = outcome
            self._on_end(run)


def _count(run: Run, event: Event) -> None:
    if isinstance(event, Done):
        run.done = event.number
    elif isinstance(event, Failed):
        run.failures.append(f"{event.subject}: {event.reason}")
    elif isinstance(event, Finished):
        run.done = event.done
