"""Asks the executors beyond `local` what they are, each in a child, so that no engine's library stays in the agent."""

from __future__ import annotations

import time

from kraken_agent.executors.registry import executor_class, present

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from kraken_agent.executors.base import Send
    from kraken_agent.reactor import Reactor

_SECONDS = 15.0


def detect_executors(reactor: Reactor) -> Dict[str, str]:
    """What goes into host-info: `{"docker": "20.10.24"}`. An engine that does not answer in time is not there."""
    found: Dict[str, str] = {}
    for name, may_work in present():
        if may_work:
            _ask(reactor, name, found)
    return found


def _ask(reactor: Reactor, name: str, found: Dict[str, str]) -> None:
    from kraken_agent.process import Process

    def take(message: Dict[str, Any]) -> None:
        found.update({str(key): str(value) for key, value in message.items()})

    process = Process(reactor, _detection(name), on_output=lambda data: None)
    process.on_message = take
    if not reactor.run_until(lambda: process.has_ended, time.monotonic() + _SECONDS):
        process.stop()
        reactor.run_until(lambda: process.has_ended)
    process.close()


def _detection(name: str) -> Callable[[Send], int]:
    def main(send: Send) -> int:
        send(dict(executor_class(name).detect()))
        return 0

    return main
