"""Asks the executors beyond `local` what they are, each in a child, so that no engine's library stays in the agent."""

from __future__ import annotations

import time

from kraken_agent.executors.registry import executor_class, present
from kraken_agent.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from kraken_agent.executors.base import Send
    from kraken_agent.reactor import Reactor

_SECONDS = 15.0
_VALID_SECONDS = 300.0


class Detection:
    """Asks all at once; the loop may turn for something else meanwhile.

    Attributes:
        found: what goes into host-info, `{"docker": "20.10.24"}`; it fills while the loop turns.
        until: when the answers are too old to be given again.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.found: Dict[str, str] = {}
        self.until = time.monotonic() + _VALID_SECONDS
        self._end = time.monotonic() + _SECONDS
        self._processes = [self._ask(name) for name, may_work in present() if may_work]

    @property
    def has_ended(self) -> bool:
        """Whether all have answered."""
        return all(process.has_ended for process in self._processes)

    def wait(self) -> None:
        """Turn the loop until all have answered; an engine that does not answer in time is not there."""
        if not self._reactor.run_until(lambda: self.has_ended, self._end):
            for process in self._processes:
                process.stop()
            self._reactor.run_until(lambda: self.has_ended)
        for process in self._processes:
            process.close()
        self._processes = []

    def _ask(self, name: str) -> Process:
        process = Process(self._reactor, _detection(name), on_output=lambda data: None)
        process.on_message = self._take
        return process

    def _take(self, message: Dict[str, Any]) -> None:
        self.found.update({str(key): str(value) for key, value in message.items()})


def _detection(name: str) -> Callable[[Send], int]:
    def main(send: Send) -> int:
        send(dict(executor_class(name).detect()))
        return 0

    return main
