"""Asks the executors beyond `local` what they are, each in a child, so that no engine's library stays in the agent."""

from __future__ import annotations

import time

from kraken_agent.executors.registry import executor_class, present
from kraken_agent.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Tuple

    from kraken_agent.executors.base import Send
    from kraken_agent.logs import Log
    from kraken_agent.reactor import Reactor

_SECONDS = 15.0
# An engine that was stopped leaves its socket, so a look at the host alone does not tell.
_VALID_SECONDS = 300.0

_VERSION = "version"
_REASON = "reason"


class Engines:
    """Knows which executors can be offered, and asks again: engines come and go while the agent runs.

    Args:
        reactor: turns while they answer.
        log: told once why an executor is not offered, and when that changes.

    Attributes:
        found: what goes into host-info, `{"docker": "20.10.24"}`.
        not_offered: why the others of this host are not offered, by name.
    """

    def __init__(self, reactor: Reactor, log: Log) -> None:
        self._reactor = reactor
        self._log = log
        self.found: Dict[str, str] = {}
        self.not_offered: Dict[str, str] = {}
        self._processes: Dict[str, Process] = {}
        self._answers: Dict[str, Dict[str, str]] = {}
        self._seen: Tuple[str, ...] = ()
        self._stop_at = 0.0
        self._ask_again_at = 0.0

    @property
    def has_answered(self) -> bool:
        """Return whether nobody is being asked."""
        return not self._processes

    def ask_when_due(self) -> None:
        """Ask the engines when their answers are old or their sockets came or went; take answers that have come.

        It does not wait.
        """
        if self._processes:
            self._take_answers()
            return
        seen = tuple(name for name, may_work in present() if may_work)
        if seen == self._seen and time.monotonic() < self._ask_again_at:
            return
        self._seen = seen
        now = time.monotonic()
        self._stop_at, self._ask_again_at = now + _SECONDS, now + _VALID_SECONDS
        self._answers = {}
        self._processes = {name: self._ask(name) for name in seen}
        if not seen:
            self._settle()

    def wait(self) -> None:
        """Turn the loop until all have answered; an engine that does not answer in time is not offered."""
        self._reactor.run_until(lambda: self._have_ended, self._stop_at)
        self._take_answers()

    def cancel(self) -> None:
        """End what is being asked: a job begins. It is asked again afterwards."""
        if self._processes:
            self._end_processes()
            self._ask_again_at = 0.0

    @property
    def _have_ended(self) -> bool:
        return all(process.has_ended for process in self._processes.values())

    def _take_answers(self) -> None:
        if not self._have_ended and time.monotonic() < self._stop_at:
            return
        for name, process in self._processes.items():
            if not process.has_ended:
                self._answers[name] = {_REASON: f"it did not answer within {_SECONDS:g} s"}
        self._end_processes()
        self._settle()

    def _end_processes(self) -> None:
        for process in self._processes.values():
            process.stop()
        self._reactor.run_until(lambda: self._have_ended)
        for process in self._processes.values():
            process.close()
        self._processes = {}

    def _settle(self) -> None:
        """Take over the answers, and say what is new."""
        silent = {_REASON: "the check of it ended without an answer"}
        answers = {name: self._answers.get(name) or silent for name in self._seen}
        found = {name: answer[_VERSION] for name, answer in answers.items() if _VERSION in answer}
        not_offered = {name: answer[_REASON] for name, answer in answers.items() if _VERSION not in answer}
        for name, reason in not_offered.items():
            if self.not_offered.get(name) != reason:
                self._log.warning(f"{name} jobs are not offered: {reason}")
        for name, version in found.items():
            if self.found.get(name) != version:
                self._log.info(f"{name} jobs are offered, version {version}")
        for name in self.found:
            if name not in answers:
                self._log.warning(f"{name} jobs are not offered any more: its socket is gone")
        self.found, self.not_offered = found, not_offered

    def _ask(self, name: str) -> Process:
        process = Process(self._reactor, _detection(name), on_output=lambda data: None)
        process.on_message = lambda message: self._take(name, message)
        return process

    def _take(self, name: str, message: Dict[str, Any]) -> None:
        self._answers[name] = {str(key): str(value) for key, value in message.items()}


def _detection(name: str) -> Callable[[Send], int]:
    def main(send: Send) -> int:
        try:
            send({_VERSION: executor_class(name).detect()})
        except Exception as error:  # noqa: BLE001 - whatever keeps an executor from working is the reason to be told
            send({_REASON: str(error) or repr(error)})
        return 0

    return main
