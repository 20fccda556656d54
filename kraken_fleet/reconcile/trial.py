"""Agents that have to prove themselves: what they say decides whether they stay.

The server reads an agent's host info only after authorization, so proof cannot come before it. Until a new agent has
stood its trial it is disabled and only in `all`: it gets no job. One that was let in earlier works on meanwhile, for an
agent that has just been started with a new secret is about to tell it.
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

# An agent that waits to be let in asks every 10 s, and then tells what it is.
TRIAL_TIMEOUT = 45.0
_INTERVAL = 1.0
# An agent tells what it is when it notices that it is let in. One that was out for less time than passes between two of
# its questions, 5.5 s at most, has noticed nothing: after a while without news it is shut out once more, long enough.
_NEWS_SECONDS = 10.0
_SHUT_OUT_SECONDS = 7.0
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
    """Judges each agent once it has said what it is; puts out those that fail and those that say nothing.

    Args:
        trials: the agents, all of them authorized.
        trust: the policies that let them in.
        before: what the server knew of their hosts before; a record of an earlier life proves nothing against them.
        timeout: seconds for all of them.
        concurrency: how many requests are on their way at the same time.

    Raises:
        ServerError: the server is gone.
    """
    judges = {policy.name: policy for policy in trust}
    pending = {action.agent_id: action for action in trials}
    # Somebody else may speak under the same address: what is said has to hold for a second look.
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
            _let_in_noticeably(client, _without_news(pending, agents, before), clock)
            noticed = True
        if pending:
            clock.sleep(_INTERVAL)


def _without_news(
    pending: Mapping[int, Trial], agents: Mapping[int, Agent], before: Mapping[int, HostInfo | None]
) -> list[int]:
    """The newcomers of whom the server still knows only what it knew before."""
    newcomers = [number for number, action in pending.items() if isinstance(action, Authorize) and number in agents]
    return [
        number for number in newcomers if (info := agents[number].host_info) is not None and info == before.get(number)
    ]


def _let_in_noticeably(client: KrakenClient, numbers: Sequence[int], clock: Clock) -> None:
    if numbers:
        client.set_authorized(numbers, False)  # noqa: FBT003 - its second argument is the verb's sense
        clock.sleep(_SHUT_OUT_SECONDS)
        client.set_authorized(numbers, True)  # noqa: FBT003 - as above


def _judged(
    judge: TrustPolicy, action: Trial, agent: Agent | None, before: HostInfo | None, *, late: bool
) -> Decision | None:
    if agent is not None and agent.host_info is not None:
        decision = judge.judge(agent, DesiredAgent(action.host or agent.address, agent.address))
        if decision.admitted or agent.host_info != before or late:
            return decision
    if late:
        return Decision(admitted=False, policy=action.policy, reason="it did not say what it is in time")
    return None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is decided of one agent; `agent` is None when the server does not have it any more."""

    action: Trial
    agent: Agent | None
    decision: Decision

    @property
    def newcomer(self) -> tuple[Authorize, Agent] | None:
        """Whom to let in for good; one that was in already only stays."""
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
            _settle(client, places, *verdict.newcomer, verdict.groups)
        elif not verdict.decision.admitted or verdict.agent is None:
            _put_out(client, verdict.action)

    for verdict, error in each(verdicts, work, concurrency):
        subject, decision = verdict.action.label, verdict.decision
        if error:
            yield Failed(subject=subject, reason=str(error), action=verdict.action)
        elif decision.admitted and verdict.agent is not None:
            yield TrialPassed(subject=subject, policy=decision.policy, reason=decision.reason)
        else:
            yield TrialFailed(subject=subject, policy=decision.policy, reason=decision.reason)


class _Places:
    """The groups that agents come into, read once for all who have stood their trial in one look.

    Args:
        names: those that have to be there; missing ones are created.
    """

    def __init__(self, client: KrakenClient, names: Iterable[str]) -> None:
        living = LivingGroups.of(client.groups())
        made = client.create_groups(sorted(set(names) - living.ids.keys()))
        self._errors = {name: group for name, group in made if isinstance(group, FleetError)}
        self._living = living.with_created({name: group.id for name, group in made if isinstance(group, AgentsGroup)})

    def with_all(self, names: Iterable[str]) -> LivingGroups:
        """The living groups.

        Raises:
            FleetError: one of these is not there and could not be created.
        """
        for name in sorted(names):
            if name in self._errors:
                raise self._errors[name]
        return self._living


def _put_out(client: KrakenClient, action: Trial) -> None:
    if isinstance(action, Recheck):
        client.disable_agent(action.agent_id)
    client.set_authorized([action.agent_id], False)  # noqa: FBT003 - as above


def _settle(client: KrakenClient, places: _Places, action: Authorize, agent: Agent, groups: frozenset[str]) -> None:
    living = places.with_all(groups)
    wanted = DesiredAgent(action.host, agent.address, groups)
    change = groups_change(agent, wanted, living, GroupsMode.EXACT if action.exact else GroupsMode.MERGE)
    if change:
        client.set_agent_groups(agent.id, {*change.kept, *(living.ids[name] for name in change.added)})
    if action.enable and agent.disabled:
        client.enable_agent(agent.id)
