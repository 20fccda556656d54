"""The agent's one loop: descriptors, timers and signals, in one thread.

Everything that waits, waits here, so output is read, deadlines are kept and the service manager's watchdog is fed while
a slow server keeps an answer back. One thread also means that a child may be forked and run Python at any moment.
"""

from __future__ import annotations

import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    Callback = Callable[[], None]

READ = select.POLLIN
WRITE = select.POLLOUT

# poll takes milliseconds in a C int.
_LONGEST_WAIT = 3600.0


class Timer:
    """Something to be called once, at a time."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback = callback


class Reactor:
    """Calls back when a descriptor is ready, a time has come or a signal arrived. Make one for each process."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: Dict[int, Callback] = {}
        self._timers: List[Timer] = []
        self._signals: Dict[int, Callback] = {}
        self._wakeup, write_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self.register(self._wakeup, self._on_wakeup)

    def register(self, descriptor: int, callback: Callback, events: int = READ) -> None:
        """Call back whenever a descriptor is ready, or its other end is gone."""
        self._callbacks[descriptor] = callback
        self._poll.register(descriptor, events)

    def unregister(self, descriptor: int) -> None:
        """Stop calling back; harmless when it was not registered."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call back once, at a time of `time.monotonic()`."""
        timer = Timer(when, callback)
        self._timers.append(timer)
        return timer

    def call_in(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, after a while."""
        return self.call_at(time.monotonic() + seconds, callback)

    def cancel(self, timer: Optional[Timer]) -> None:
        """Forget a timer; harmless when it has rung already."""
        if timer in self._timers:
            self._timers.remove(timer)

    def on_signal(self, number: int, callback: Callback) -> None:
        """Call back, from the loop, when a signal has arrived."""
        self._signals[number] = callback
        # Without a handler in Python nothing is written to the wake-up descriptor.
        signal.signal(number, _ignore)
        signal.siginterrupt(number, False)  # noqa: FBT003 - the function takes no name

    def turn(self, until: Optional[float] = None) -> None:
        """Wait for the next thing to happen, but not beyond a time, and deal with everything that is due."""
        for descriptor, _ in self._poll.poll(self._milliseconds(until)):
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()
        now = time.monotonic()
        for timer in [timer for timer in self._timers if timer.when <= now]:
            if timer in self._timers:
                self._timers.remove(timer)
                timer.callback()

    def run_until(self, done: Callable[[], bool], until: Optional[float] = None) -> bool:
        """Turn until something is so, or a time has come; return whether it is so."""
        while not done():
            if until is not None and time.monotonic() >= until:
                return False
            self.turn(until)
        return True

    def _milliseconds(self, until: Optional[float]) -> int:
        times = [timer.when for timer in self._timers]
        if until is not None:
            times.append(until)
        wait = min(times) - time.monotonic() if times else _LONGEST_WAIT
        # Rounded up: waking a little early would mean turning for nothing until the time has come.
        return int(max(0.0, min(wait, _LONGEST_WAIT)) * 1000 + 0.999)

    def _on_wakeup(self) -> None:
        try:
            numbers = set(os.read(self._wakeup, 512))
        except BlockingIOError:
            return
        for number in numbers:
            callback = self._signals.get(number)
            if callback is not None:
                callback()


def forget_in_child() -> None:
    """Give signals their usual meaning again in a forked child, and disconnect it from the parent's loop."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)


def _ignore(number: int, frame: object) -> None:
    """Ignore the signal here: what must happen is done in the loop."""
