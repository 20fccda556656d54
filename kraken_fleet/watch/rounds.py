"""Rounds of a watch: read the server once, compare with what is known, tell people, remember."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, NotSentError, PartialFailureError
from kraken_fleet.model import Agent, DesiredFleet
from kraken_fleet.plan import Enable, PlanPolicy
from kraken_fleet.reconcile import (
    Changed,
    Clock,
    Event,
    Memories,
    Reading,
    RoundFailed,
    Sleeping,
    SystemClock,
    enable,
    read_server,
)
from kraken_fleet.state import last_reconcile_result, recent_deploys
from kraken_fleet.watch.changes import Changes, Known, Times, compare
from kraken_fleet.watch.events import Appeared, Looked, NotSent, Over, Sent, ToSend
from kraken_fleet.watch.memory import Memory, MemoryFile
from kraken_fleet.watch.message import message_of
from kraken_fleet.watch.problems import Problem, Topic, problems_of, unreadable
from kraken_fleet.watch.receivers import Receiver

# How many past playbook runs are looked at for hosts that failed: as many as are kept.
_DEPLOYS = 50


class Watch:
    """A watch of one fleet.

    Args:
        load: reads the inventory, anew in each round.
        state: the state directory: what deploys and reconciliations have left, and what the watch remembers.
        file: what the watch remembers.
        receivers: who gets the messages.
        topics: what problems they are told of.
        give_back: enable the inventory's agents that somebody has disabled until a time that is over.
        dry_run: change nothing, send nothing, remember nothing.
        now: the time of day, in UTC.
    """

    def __init__(
        self,
        client: KrakenClient,
        load: Callable[[], DesiredFleet],
        state: Path,
        file: MemoryFile,
        receivers: Sequence[Receiver],
        *,
        policy: PlanPolicy | None = None,
        times: Times | None = None,
        topics: Collection[Topic] = tuple(Topic),
        give_back: bool = True,
        dry_run: bool = False,
        clock: Clock | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._load, self._policy = client, load, policy
        self._state, self._file, self._receivers = state, file, receivers
        self._times, self._topics = times or Times(), frozenset(topics)
        self._give_back, self._dry_run = give_back and not dry_run, dry_run
        self._clock, self._now = clock or SystemClock(), now
        self._seconds_to_next_end: float | None = None

    def repeat(
        self,
        *,
        interval: float,
        jitter: float = 0.1,
        rounds: int | None = None,
        chance: Callable[[], float] = random.random,
    ) -> Iterator[Event]:
        """Do rounds again and again; what fails in one is told, and the next one follows.

        Args:
            interval: seconds from the end of a round to the next one; that comes earlier when an agent is to be
                enabled again before.
            jitter: up to this part of the interval is added or taken, so that many watches do not come at once.
            rounds: how many; None for ever.
            chance: a number from 0 to 1.

        Raises:
            FleetError: the state cannot be read or written.
        """
        done = 0
        while rounds is None or done < rounds:
            yield from self._round()
            done += 1
            if rounds is None or done < rounds:
                pause = interval * (1 + jitter * (2 * chance() - 1))
                # Its time has come a moment later: times on the server have whole seconds.
                end = self._seconds_to_next_end
                pause = pause if end is None else min(pause, end + 1)
                yield Sleeping(seconds=pause)
                self._clock.sleep(pause)

    def once(self) -> Iterator[Event]:
        """Do one round.

        Raises:
            PartialFailureError: at the end: a receiver did not get a message, or an agent could not be enabled.
            FleetError: the server or the inventory could not be read, which people are told of; or the state.
        """
        error, failures = yield from self._round()
        if error:
            raise error
        if failures:
            message = f"{len(failures)} messages could not be sent, or agents could not be enabled"
            raise PartialFailureError(message, failures=failures, hint="The next round tries again")

    def _round(self) -> Generator[Event, None, tuple[FleetError | None, dict[str, str]]]:
        """Do one round; return why nothing could be read, and what failed, by receivers and agents."""
        memory, now = self._file.read(), self._now()
        error, failures = None, dict[str, str]()
        enabled: list[str] = []
        unseen: frozenset[Topic] = frozenset()
        self._seconds_to_next_end = None
        try:
            reading = self._read()
            if self._give_back:
                reading = yield from self._enable_due(reading, enabled, failures)
            problems = self._problems(reading)
            yield Looked(agents=len(reading.agents), problems=len(problems))
        except FleetError as caught:
            error, unseen = caught, frozenset(Topic) - {Topic.SERVER}
            problems = [unreadable(caught, self._client.url)] if Topic.SERVER in self._topics else []
            yield RoundFailed(error=caught.as_dict())
        # Topics that this run leaves out are forgotten: nothing would ever say that they are over.
        known = {key: one for key, one in memory.known.items() if one.problem.topic in self._topics}
        changes = compare(known, problems, now, self._times, unseen=unseen)
        yield from _told(changes)
        memory = replace(memory, known=changes.known).only_to([one.identity for one in self._receivers])
        message = message_of(changes.appeared, changes.over, enabled, now, self._client.url)
        if self._dry_run:
            if message:
                yield ToSend(title=message.title, body=message.body)
            return error, failures
        if message:
            memory = memory.with_message(message, [one.identity for one in self._receivers])
        self._file.write(memory)
        failures.update((yield from self._send(memory)))
        return error, failures

    def _read(self) -> Reading:
        memories = Memories.kept_in(self._state, self._client.url)
        return read_server(self._client, self._load(), self._policy, memories=memories)

    def _problems(self, reading: Reading) -> list[Problem]:
        deploys = recent_deploys(self._state, _DEPLOYS)
        found = problems_of(reading, deploys, last_reconcile_result(self._state, self._client.url))
        return [problem for problem in found if problem.topic in self._topics]

    def _enable_due(
        self, reading: Reading, said: list[str], failures: dict[str, str]
    ) -> Generator[Event, None, Reading]:
        """Enable agents whose time is over; return the reading without these changes.

        Args:
            said: gets a sentence for each agent once it is enabled, so that people are told of it also when the server
                fails after that.
            failures: gets why others could not be enabled.
        """
        self._seconds_to_next_end = _seconds_to_next_end(reading)
        due = {agent.name: agent for agent in _due(reading)}
        enabled = set[int]()
        try:
            for event in enable(self._client, list(due.values())):
                if isinstance(event, Changed):
                    agent = due[event.subject]
                    enabled.add(agent.id)
                    said += [f"{agent.name}: it was disabled {agent.disabling.said}."] if agent.disabling else []
                yield event
        except PartialFailureError as error:
            failures.update(error.failures)
        return _without_enabling(reading, enabled)

    def _send(self, memory: Memory) -> Generator[Event, None, dict[str, str]]:
        """Send what is not sent yet, to each receiver in its order; return why receivers did not take it."""
        failures: dict[str, str] = {}
        for receiver in self._receivers:
            for unsent in [one for one in memory.unsent if receiver.identity in one.to]:
                title = unsent.message.title
                try:
                    receiver.send(unsent.message)
                except NotSentError as error:
                    failures[receiver.label] = error.message
                    yield NotSent(receiver=receiver.label, title=title, reason=error.message)
                    # Each later message waits, so that "over" never comes before the problem.
                    break
                waiting = next(one for one in memory.unsent if one.message is unsent.message)
                memory = memory.without(waiting, receiver.identity)
                self._file.write(memory)
                yield Sent(receiver=receiver.label, title=title)
        return failures


def _due(reading: Reading) -> list[Agent]:
    """Return the inventory's agents that the plan enables because the time that somebody set is over."""
    over = {one.id: one for one in reading.agents if one.disabling and one.disabling.is_over(reading.now)}
    actions = reading.plan.actions if reading.plan else ()
    numbers = {action.agent_id for action in actions if isinstance(action, Enable)} & over.keys()
    return [reading.names.named(over[number]) for number in numbers]


def _without_enabling(reading: Reading, enabled: Collection[int]) -> Reading:
    plan = reading.plan
    if plan is None or not enabled:
        return reading
    left = tuple(one for one in plan.actions if not (isinstance(one, Enable) and one.agent_id in enabled))
    return replace(reading, plan=replace(plan, actions=left))


def _seconds_to_next_end(reading: Reading) -> float | None:
    said = (agent.disabling for agent in reading.agents)
    ends = [one.until for one in said if one and one.until and one.until > reading.now]
    return (min(ends) - reading.now).total_seconds() if ends else None


def _told(changes: Changes) -> Iterator[Event]:
    for kind, ones in ((Appeared, changes.appeared), (Over, changes.over)):
        yield from (_event(kind, one) for one in ones)


def _event(made: type[Appeared] | type[Over], known: Known) -> Event:
    problem = known.problem
    return made(
        topic=str(problem.topic),
        subject=problem.subject,
        message=problem.message,
        hint=problem.hint,
        severity=problem.severity,
        finding=problem.kind,
        since=known.since.isoformat(),
    )
