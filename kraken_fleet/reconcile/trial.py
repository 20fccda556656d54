"""Agents on trial: the host info that they send decides whether they stay authorized.

The server reads an agent's host info only after authorization, so verification cannot come before it. Until a new agent
is verified it is disabled and only in `all`: it gets no job. One that was authorized earlier works on meanwhile, for an
agent that has just been started with a new secret is about to report it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Agent, AgentsGroup, DesiredAgent, HostInfo
from kraken_fleet.plan import Authorize, Decision, GroupsMode, Recheck, TrustPolicy, groups_change
from kraken_fleet.plan.membership import LivingGroups
from kraken_fleet.reconcile.clock import Clock
from kraken_fleet.reconcile.events import Event, Failed, TrialFailed, TrialPassed
from kraken_fleet.reconcile.parallel import each

# An agent that waits for its authorization asks every 10 s, and then sends its host info.
TRIAL_TIMEOUT = 45.0
_INTERVAL = 1.0
# An agent sends its host info when it notices that it is authorized. One that was unauthorized for less time than it
# lets pass between two questions, 5.5 s at most, has noticed nothing: after a while without news its authorization is
# taken back once more, for long enough.
_NEWS_SECONDS = 10.0
_UNAUTHORIZED_SECONDS = 7.0
Trial = Authorize | Recheck


def hold_trials(
    client: KrakenClient,
    trials: Sequence[Trial],
    trust: Sequence[TrustPolicy],
    *,
    before: Mapping[int, HostInfo | None],
    timeout: float,
    clock: Clock,
    concurrency: int = 8,
) -> Iterator[Event]:
    """Judge each agent once it has sent its host info; unauthorize those that fail and those that send nothing.

    Args:
        trials: the agents, all of them authorized.
        trust: the policies that authorized them.
        before: what the server knew of their hosts before; a record of an earlier life proves nothing against them.
        timeout: seconds for all of them.
        concurrency: how many requests are on their way at the same time.

    Raises:
        ServerError: the server is gone.
    """
    judges = {policy.name: policy for policy in trust}
    pending = {action.agent_id: action for action in trials}
    # Another agent may speak under the same address, so an agent has to pass twice in a row.
    passed: set[int] = set()
    began = clock.now()
    deadline, noticed = began + timeout, False
    while pending:
        late = clock.now() >= deadline
        verdicts = []
        agents = {agent.id: agent for agent in client.agents() if agent.id in pending}
        for number, action in list(pending.items()):
            agent = agents.get(number)
            decision = _judged(judges[action.policy], action, agent, before.get(number), late=late)
            if decision is not None and decision.admitted and not late and number not in passed:
                passed.add(number)
            elif decision is not None:
                del pending[number]
                verdicts.append(_Verdict(action, agent, decision))
        yield from _carry_out(client, verdicts, concurrency)
        if pending and not noticed and clock.now() - began >= _NEWS_SECONDS:
            _authorize_again(client, _without_news(pending, agents, before), clock)
            noticed = True
        if pending:
            clock.sleep(_INTERVAL)


def _without_news(
    pending: Mapping[int, Trial], agents: Mapping[int, Agent], before: Mapping[int, HostInfo | None]
) -> list[int]:
    """Return the newcomers of whom the server still knows only what it knew before."""
    newcomers = [number for number, action in pending.items() if isinstance(action, Authorize) and number in agents]
    return [
        number for number in newcomers if (info := agents[number].host_info) is not None and info == before.get(number)
    ]


def _authorize_again(client: KrakenClient, numbers: Sequence[int], clock: Clock) -> None:
    if numbers:
        client.set_authorized(numbers, False)  # noqa: FBT003 - its second argument is the verb's sense
        clock.sleep(_UNAUTHORIZED_SECONDS)
        client.set_authorized(numbers, True)  # noqa: FBT003 - as above


def _judged(
    judge: TrustPolicy, action: Trial, agent: Agent | None, before: HostInfo | None, *, late: bool
) -> Decision | None:
    if agent is not None and agent.host_info is not None:
        decision = judge.judge(agent, DesiredAgent(action.host or agent.address, agent.address))
        if decision.admitted or agent.host_info != before or late:
            return decision
    if late:
        return Decision(admitted=False, policy=action.policy, reason="it did not send its host info in time")
    return None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is decided of one agent; `agent` is None when the server does not have it any more."""

    action: Trial
    agent: Agent | None
    decision: Decision

    @property
    def newcomer(self) -> tuple[Authorize, Agent] | None:
        """The new agent to admit; None for one that was authorized before, which only stays."""
        if self.agent is not None and self.decision.admitted and isinstance(self.action, Authorize):
            return self.action, self.agent
        return None

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(self.newcomer[0].groups) | self.decision.groups if self.newcomer else frozenset()


def _carry_out(client: KrakenClient, verdicts: Sequence[_Verdict], concurrency: int) -> Iterator[Event]:
    names = {name for verdict in verdicts for name in verdict.groups}
    places = _Places(client, names) if any(verdict.newcomer for verdict in verdicts) else None

    def work(verdict: _Verdict) -> None:
        if verdict.newcomer and places:
            _admit(client, places, *verdict.newcomer, verdict.groups)
        elif not verdict.decision.admitted or verdict.agent is None:
            _unauthorize(client, verdict.action)

    for verdict, error in each(verdicts, work, concurrency):
        subject, decision = verdict.action.label, verdict.decision
        if error:
            yield Failed(subject=subject, reason=str(error), action=verdict.action)
        elif decision.admitted and verdict.agent is not None:
            yield TrialPassed(subject=subject, policy=decision.policy, reason=decision.reason)
        else:
            yield TrialFailed(subject=subject, policy=decision.policy, reason=decision.reason)


class _Places:
    """The groups that agents come into, read once for all that have passed their trial at the same time.

    Args:
        names: those that have to be there; missing ones are created.
    """

    def __init__(self, client: KrakenClient, names: Iterable[str]) -> None:
        living = LivingGroups.of(client.groups())
        made = client.create_groups(sorted(set(names) - living.ids.keys()))
        self._errors = {name: group for name, group in made if isinstance(group, FleetError)}
        self._living = living.with_created({name: group.id for name, group in made if isinstance(group, AgentsGroup)})

    def with_all(self, names: Iterable[str]) -> LivingGroups:
        """Return the living groups.

        Raises:
            FleetError: one of these is not there and could not be created.
        """
        for name in sorted(names):
            if name in self._errors:
                raise self._errors[name]
        return self._living


def _unauthorize(client: KrakenClient, action: Trial) -> None:
    if isinstance(action, Recheck):
        client.disable_agent(action.agent_id)
    client.set_authorized([action.agent_id], False)  # noqa: FBT003 - as above


def _admit(client: KrakenClient, places: _Places, action: Authorize, agent: Agent, groups: frozenset[str]) -> None:
    living = places.with_all(groups)
    wanted = DesiredAgent(action.host, agent.address, groups)
    change = groups_change(agent, wanted, living, GroupsMode.EXACT if action.exact else GroupsMode.MERGE)
    if change:
        client.set_agent_groups(agent.id, {*change.kept, *(living.ids[name] for name in change.added)})
    if action.enable and agent.disabled:
        client.enable_agent(agent.id)
