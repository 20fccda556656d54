"""Slices in processes on this machine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from kraken_fleet.scale.events import SliceEvent, SliceStarted
from kraken_fleet.scale.packages import ansible_runner
from kraken_fleet.scale.pipe import SliceProcess
from kraken_fleet.scale.runner import Slice

_HERE = "this machine"


@dataclass
class LocalRunner:
    """Runs some slices at a time.

    Args:
        workers: how many.

    Raises:
        FleetError: ansible-runner is not installed.
    """

    workers: int = 1
    begun: set[int] = field(default_factory=set)
    _processes: list[SliceProcess] = field(default_factory=list)
    _stopped: bool = False
    _beginning: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        ansible_runner()

    def run(self, slices: Sequence[Slice]) -> Generator[SliceEvent, None, None]:
        """Run the slices; see Runner."""
        self._stopped = False
        self._processes.clear()
        self.begun.clear()
        events: queue.Queue[SliceEvent | Future[None]] = queue.Queue()
        with ThreadPoolExecutor(self.workers) as pool:
            left = {pool.submit(self._work, one, events) for one in slices}
            try:
                for future in left:
                    future.add_done_callback(events.put)
                while left:
                    event = events.get()
                    if isinstance(event, Future):
                        left.remove(event)
                        event.result()
                    else:
                        yield event
            finally:
                # Before the pool ends, which waits until its threads are done.
                self._stop()

    def _work(self, one: Slice, events: queue.Queue[SliceEvent | Future[None]]) -> None:
        # A process is begun before all are stopped, and is stopped with them, or not at all.
        with self._beginning:
            if self._stopped:
                return
            self.begun.add(one.number)
            process = SliceProcess(one)
            self._processes.append(process)
        events.put(SliceStarted(one.number, _HERE))
        for event in process.events():
            events.put(event)

    def _stop(self) -> None:
        """End what runs; the rest is not begun."""
        with self._beginning:
            self._stopped = True
        for process in self._processes:
            process.stop()
