"""Exchanges messages with the server: waits while it cannot be reached, and delivers each report once."""

from __future__ import annotations

import json
import socket
import time

from kraken_agent import protocol
from kraken_agent.backoff import Backoff
from kraken_agent.protocol import Answer
from kraken_agent.transport import InterruptedExchangeError, StatusError, Transport, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional

    from kraken_agent.config import Config
    from kraken_agent.logs import Log
    from kraken_agent.reactor import Reactor
    from kraken_agent.spool import Spool

    Message = Dict[str, Any]
    Recover = Callable[[Answer, Mapping[str, Any]], Optional[Answer]]

_ANSWER_SECONDS = 120.0
# What the server refuses so often, while it answers other messages well, is given up: it would never be taken.
_REFUSALS = 5
# As often as an agent that was never authorized asks.
_UNAUTHORIZED_PAUSE = 10.0


class Session:
    """Exchanges messages as one agent. What an answer means is for others.

    Args:
        reactor: turns while waiting.
        config: names the server and, perhaps, the agent.
        log: told about trouble, once for each kind in a row.
        spool: keeps reports until they have arrived.
        interrupted: true when the agent should not wait any longer.

    Attributes:
        address: who the agent is to the server.
    """

    def __init__(
        self, reactor: Reactor, config: Config, log: Log, spool: Spool, interrupted: Callable[[], bool]
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._spool = spool
        self._interrupted = interrupted
        self._trouble = ""
        self._backoff = Backoff()
        # What the server may have received although no answer came; also what an agent left that was killed.
        self._perhaps_received: Optional[Message] = spool.first()
        self.server = protocol.parse_server(config.server)
        self.source = config.source_address()
        self._address = config.claimed_address()
        self._proxy = config.proxy(self.server)
        self._transport = Transport(reactor, self.source, interrupted, self._proxy)

    @property
    def address(self) -> Optional[str]:
        """Return the address that the agent claims: as configured, else the IP address of its way to the server."""
        own = self._address or _own_address(self.server.host)
        # Where there is a proxy, the server's name may mean nothing to this host.
        return own or (_own_address(self._proxy.host) if self._proxy else None)

    @property
    def clock_ahead(self) -> Optional[int]:
        """Return by how many seconds this host's clock is ahead of the server's; None when that is not known."""
        return self._transport.clock_ahead

    def host_info(self, info: Mapping[str, Any]) -> Answer:
        """Say what the agent is; waits for the server."""
        return self.insist(protocol.host_info(self.address, info))

    def get_job(self) -> Answer:
        """Ask for work; waits for the server."""
        return self.insist(protocol.get_job(self.address))

    def get_step(self, until: float) -> Optional[Answer]:
        """Ask for the next step; waits for the server until a time, None when that has come."""
        return self._insist_until(protocol.get_job_step(self.address), until)

    def dispatch_tests(self, job: int, step: int, tests: List[str], until: float) -> Optional[Answer]:
        """Ask which tests to run; waits for the server until a time.

        Returns:
            the answer, empty when the server refuses the question for ever; None when the time came first.
        """
        message = protocol.dispatch_tests(self.address, job, step, tests)
        refusals = 0
        while True:
            try:
                answer = self._exchange_once(message, _seconds_until(until), protocol.answer_to_dispatch)
            except TransportError as error:
                refusals += int(error.is_refusal)
                self._note_trouble(error)
                if refusals >= _REFUSALS and self._answers_others(message):
                    return Answer({})
                if not self._sleep(self._backoff.pause(), until):
                    return None
                continue
            self._note_success()
            return answer

    def keep_alive(self, job: int) -> Optional[Answer]:
        """Say that the step still runs; None when the server has not received it."""
        return self.attempt(protocol.keep_alive(self.address, job))

    def announce(self, job: int, step: int) -> Optional[Answer]:
        """Say that a step has begun. None when the server has not received it: the report of its end is enough."""
        return self.attempt(protocol.step_result(self.address, job, step, {"status": protocol.IN_PROGRESS}))

    def report(self, job: int, step: int, result: Mapping[str, Any]) -> None:
        """Keep a report until it can be delivered."""
        self._spool.append(protocol.step_result(self.address, job, step, result))

    @property
    def has_reports(self) -> bool:
        """Return whether there are reports which the server does not have yet."""
        return bool(self._spool)

    def deliver(self, until: Optional[float] = None) -> Answer:
        """Deliver what is kept, oldest first; waits for the server.

        Returns:
            the answer to the last report, empty when the time came first.
        """
        answer = Answer({})
        # Only refusals count: while nobody answers, or the server is overloaded, nothing is known of the report.
        refusals = 0
        while True:
            message = self._spool.first()
            if message is None:
                return answer
            try:
                answer = self._exchange_once(message, _ANSWER_SECONDS, protocol.answer_to_report)
            except TransportError as error:
                refusals += int(error.is_refusal)
                self._note_trouble(error)
                if refusals >= _REFUSALS and self._answers_others(message):
                    self._refuse(message, error)
                    refusals = 0
                elif not self._sleep(self._backoff.pause(), until):
                    return Answer({})
                continue
            if answer.unauthorized:
                self._note_trouble("the server has withdrawn this agent's authorization; reports are kept")
                if not self._sleep(_UNAUTHORIZED_PAUSE, until):
                    return Answer({})
                continue
            self._note_success()
            self._spool.drop_first()
            refusals = 0

    def download(self, name: str) -> bytes:
        """Get a file that the server offers: `install/agent`, `install/tool`.

        Raises:
            TransportError: there is no such file, or no server.
        """
        return self._transport.exchange(self.server, name, None, _ANSWER_SECONDS)

    def insist(self, message: Message) -> Answer:
        """Exchange a message, again and again until the server answers."""
        while True:
            answer = self.attempt(message)
            if answer is not None:
                return answer
            self.sleep(self._backoff.pause())

    def attempt(self, message: Message, seconds: float = _ANSWER_SECONDS) -> Optional[Answer]:
        """Exchange a message once; None when there was no good answer."""
        try:
            answer = self._exchange(message, seconds)
        except TransportError as error:
            self._note_trouble(error)
            return None
        self._note_success()
        return answer

    def sleep(self, seconds: float) -> None:
        """Wait, with the loop turning.

        Raises:
            InterruptedExchangeError: the agent is to stop.
        """
        self._reactor.run_until(self._interrupted, time.monotonic() + seconds)
        if self._interrupted():
            raise InterruptedExchangeError

    def _insist_until(self, message: Message, until: float) -> Optional[Answer]:
        while True:
            answer = self.attempt(message, _seconds_until(until))
            if answer is not None or not self._sleep(self._backoff.pause(), until):
                return answer

    def _sleep(self, seconds: float, until: Optional[float]) -> bool:
        """Wait; false when the time has come before that."""
        if until is not None and time.monotonic() + seconds >= until:
            return False
        self.sleep(seconds)
        return True

    def _exchange_once(self, message: Message, seconds: float, recover: Recover) -> Answer:
        """Exchange a message that must not be received twice: a repeated report counts its artifacts twice.

        Args:
            recover: finds in the answer to get-job what the lost answer was; None when the message was not received.
        """
        if message == self._perhaps_received:
            answer = recover(self._ask_job(), message)
            if answer is not None:
                self._log.info(f"{self.server} had received {message.get('msg')}, only its answer was lost")
                self._perhaps_received = None
                return answer
        try:
            answer = self._exchange(message, seconds)
        except TransportError as error:
            if error.may_be_received:
                self._perhaps_received = message
            raise
        self._perhaps_received = None
        return answer

    def _ask_job(self) -> Answer:
        """Return the job as the server sees it, nothing when the server cannot say."""
        try:
            return self._exchange(protocol.get_job(self.address), _ANSWER_SECONDS)
        except StatusError as error:
            if not error.is_refusal:
                raise
            return Answer({})

    def _exchange(self, message: Message, seconds: float) -> Answer:
        body = self._transport.exchange(self.server, "backend", json.dumps(message).encode(), seconds)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise TransportError(f"{self.server} answered something that is not a JSON object", may_be_received=True)
        return Answer(data)

    def _answers_others(self, refused: Message) -> bool:
        """Return whether the server answers a message that is as harmless as can be."""
        try:
            self._exchange(protocol.keep_alive(self.address, int(refused.get("job_id") or 0)), _ANSWER_SECONDS)
        except TransportError:
            return False
        return True

    def _refuse(self, message: Message, error: TransportError) -> None:
        self._log.error(
            f"job {message.get('job_id')} step {message.get('step_idx')}: the server takes other messages but refuses "
            f"this report ({error}); it is dropped"
        )
        self._spool.drop_first()

    def _note_trouble(self, trouble: object) -> None:
        """Say what is wrong, unless it was said just before."""
        if str(trouble) != self._trouble:
            self._trouble = str(trouble)
            self._log.warning(f"{trouble}; trying again")

    def _note_success(self) -> None:
        if self._trouble:
            self._log.info(f"{self.server} answers again")
        self._trouble = ""
        self._backoff.reset()


def _seconds_until(until: float) -> float:
    """Return how long to wait for one answer when there is no time after that."""
    return min(_ANSWER_SECONDS, max(1.0, until - time.monotonic()))


def _own_address(host: str) -> Optional[str]:
    """Return the local IP address that packets to a host would come from; None when there is no way to it.

    The server then takes the address that it sees, as upstream's does.
    """
    try:
        family, _, _, _, target = socket.getaddrinfo(host, 1, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Nothing is sent: connecting a datagram socket only chooses the way.
            probe.connect(target)
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return None
