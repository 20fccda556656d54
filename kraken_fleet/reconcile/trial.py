"""Agents that have to prove themselves: what they say decides whether they stay.

The server reads an agent's host info only after authorisation, so proof cannot come before it. Until a new agent has
stood its trial it is disabled and only in `all`: it gets no job. One that was let in earlier works on meanwhile, for an
agent that has just been started with a new secret is about to tell it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Agent, DesiredAgent, HostInfo
from kraken_fleet.plan import Authorize, Decision, GroupsMode, Recheck, TrustPolicy, groups_change
from kraken_fleet.plan.membership import LivingGroups
from kraken_fleet.reconcile.clock import Clock
from kraken_fleet.reconcile.events import Event, Failed, TrialFailed, TrialPassed
from kraken_fleet.reconcile.parallel import FATAL

# An agent that waits to be let in asks every 10 s, and then tells what it is.
TRIAL_TIMEOUT = 45.0
_INTERVAL = 1.0
Trial = Authorize | Recheck


def hold_trials(
    client: KrakenClient,
    trials: Sequence[Trial],
    trust: Sequence[TrustPolicy],
    *,
    before: Mapping[int, HostInfo | None],
    timeout: float,
    clock: Clock,
) -> Iterator[Event]:
    """Judges each agent once it has said what it is; puts out those that fail and those that say nothing.

    Args:
        trials: the agents, all of them authorised.
        trust: the policies that let them in.
        before: what the server knew of their hosts before; a record of an earlier life proves nothing against them.
        timeout: seconds for all of them.

    Raises:
        ServerError: the server is gone.
    """
    judges = {policy.name: policy for policy in trust}
    pending = {action.agent_id: action for action in trials}
    # Somebody else may speak under the same address: what is said has to hold for a second look.
    passed: set[int] = set()
    deadline = clock.now() + timeout
    while pending:
        late, places = clock.now() >= deadline, _Places(client)
        agents = {agent.id: agent for agent in client.agents() if agent.id in pending}
        for number, action in list(pending.items()):
            agent = agents.get(number)
            decision = _judged(judges[action.policy], action, agent, before.get(number), late=late)
            if decision is not None and decision.admitted and not late and number not in passed:
                passed.add(number)
            elif decision is not None:
                del pending[number]
                yield _sentence(client, places, action, agent, decision)
        if pending:
            clock.sleep(_INTERVAL)


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


class _Places:
    """The groups that agents come into: read once for all who have stood their trial in one look."""

    def __init__(self, client: KrakenClient) -> None:
        self._client = client
        self._living: LivingGroups | None = None

    def with_all(self, wanted: Iterable[str]) -> LivingGroups:
        """The living groups; those of `wanted` that are missing are created.

        Raises:
            FleetError: one of them cannot be.
        """
        living = self._living or LivingGroups.of(self._client.groups())
        created: dict[str, int] = {}
        for name, group in self._client.create_groups(sorted(set(wanted) - living.ids.keys())):
            if isinstance(group, FleetError):
                raise group
            created[name] = group.id
        self._living = living.with_created(created)
        return self._living


def _sentence(client: KrakenClient, places: _Places, action: Trial, agent: Agent | None, decision: Decision) -> Event:
    try:
        if agent is None or not decision.admitted:
            _put_out(client, action)
            return TrialFailed(subject=action.label, policy=decision.policy, reason=decision.reason)
        if isinstance(action, Authorize):
            _settle(client, places, action, agent, decision)
    except FATAL:
        raise
    except FleetError as error:
        return Failed(subject=action.label, reason=str(error), action=action)
    return TrialPassed(subject=action.label, policy=decision.policy, reason=decision.reason)


def _put_out(client: KrakenClient, action: Trial) -> None:
    if isinstance(action, Recheck):
        client.set_agent_disabled(action.agent_id, True)  # noqa: FBT003 - its second argument is the verb's sense
    client.set_authorized([action.agent_id], False)  # noqa: FBT003 - as above


def _settle(client: KrakenClient, places: _Places, action: Authorize, agent: Agent, decision: Decision) -> None:
    wanted = DesiredAgent(action.host, agent.address, frozenset(action.groups) | decision.groups)
    living = places.with_all(wanted.groups)
    change = groups_change(agent, wanted, living, GroupsMode.EXACT if action.exact else GroupsMode.MERGE)
    if change:
        client.set_agent_groups(agent.id, {*change.kept, *(living.ids[name] for name in change.added)})
    if action.enable and agent.disabled:
        client.set_agent_disabled(agent.id, False)  # noqa: FBT003 - as above
