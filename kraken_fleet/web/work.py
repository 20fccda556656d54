"""What takes longer than a request may: one run at a time, in the background, its progress there for everybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kraken_fleet.errors import FleetError
from kraken_fleet.reconcile import Changed, Done, Event, Failed, Finished, TrialFailed

# So long a run that is over is still worth a look.
_RECENT_SECONDS = 300.0


@dataclass(slots=True)
class Run:
    """Work on `total` things. `outcome` is empty while it goes on."""

    user: str
    total: int
    done: int = 0
    failures: list[str] = field(default_factory=list)
    outcome: str = ""
    ended: float = 0.0

    @property
    def recent(self) -> bool:
        """Whether it goes on, or has ended a few minutes ago at most."""
        return not self.outcome or time.monotonic() - self.ended < _RECENT_SECONDS


class Work:
    """The run that goes on, or the last one.

    Args:
        name: what it does, for the thread.
        on_end: called after each run, for the cache.
    """

    def __init__(self, name: str, on_end: Callable[[Run], None]) -> None:
        self._name = name
        self._on_end = on_end
        self._lock = threading.Lock()
        self._run: Run | None = None

    @property
    def run(self) -> Run | None:
        return self._run

    def start(self, user: str, total: int, events: Iterator[Event]) -> bool:
        """Begin a run; False when another one goes on."""
        with self._lock:
            if self._run is not None and not self._run.outcome:
                return False
            self._run = Run(user, total)
        threading.Thread(target=self._follow, args=(self._run, events), name=self._name, daemon=True).start()
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
            run.ended, run.outcome = time.monotonic(), outcome
            self._on_end(run)


def _count(run: Run, event: Event) -> None:
    if isinstance(event, Done):
        run.done = event.number
    elif isinstance(event, Changed):
        run.done += 1
    elif isinstance(event, Failed | TrialFailed):
        run.failures.append(f"{event.subject}: {event.reason}")
    elif isinstance(event, Finished):
        run.done = event.done
