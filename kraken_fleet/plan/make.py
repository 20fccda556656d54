"""From a desired and an observed fleet to a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet, ObservedFleet
from kraken_fleet.plan.actions import ACTION_TYPES, Action, Authorize, Disable, Enable, Recheck, RenameGroup
from kraken_fleet.plan.deployments import deployment_changes
from kraken_fleet.plan.document import Plan
from kraken_fleet.plan.finding import Finding
from kraken_fleet.plan.findings import findings
from kraken_fleet.plan.fingerprint import inventory_fingerprint, server_fingerprint
from kraken_fleet.plan.inventory_trust import with_trust_of
from kraken_fleet.plan.membership import LivingGroups, groups_change, healing, missing_groups
from kraken_fleet.plan.policy import GroupsMode, PlanPolicy
from kraken_fleet.plan.prune import prune
from kraken_fleet.plan.trust import ATTESTED, Decision, TrustPolicy, decide
from kraken_fleet.plan.waiting_jobs import jobs_without_agents


def make_plan(
    desired: DesiredFleet,
    observed: ObservedFleet,
    policy: PlanPolicy | None = None,
    *,
    now: datetime,
    server: str = "",
) -> Plan:
    """Return what has to change on the server, and what a person should know.

    Only agents of the desired fleet are touched, those that a trust policy other than `inventory` authorizes, and, when
    pruning is asked for and the fleet is complete, those that it lacks.

    Args:
        desired: what the inventory wants.
        observed: what the server has.
        policy: how to go about it.
        now: the time, in UTC, by which agents are silent for long.
        server: the server's URL, so that a saved plan is not applied to another one.
    """
    policy = with_trust_of(policy or PlanPolicy(), desired)
    wanted = desired.by_address()
    decisions = _decisions(wanted, observed, policy)
    # The agents that Kraken makes in a cloud are nobody's to add to an inventory or to prune.
    named = {number for number, decision in decisions.items() if decision.admitted} | observed.made_by_kraken()
    groups = desired.groups | {name for decision in decisions.values() for name in decision.groups}
    declared = {group.name for group in desired.declared_groups}
    heals = healing(observed, groups) if policy.heal else ()
    living = LivingGroups.of(observed.groups)
    pruned, numbers = prune(desired, observed, policy, named)
    actions: list[Action] = [*heals, *missing_groups(living, groups, declared)]
    actions += deployment_changes(desired, observed)
    for agent in observed.agents:
        asked_for = _asked_for(agent, wanted, observed, policy)
        actions += _given_back(agent, asked_for, now)
        actions += _agent_actions(agent, _as_decided(agent, asked_for), decisions.get(agent.id), living, policy)
    actions += pruned
    # The sort is stable, so agents stay in the server's order within each kind of action.
    actions.sort(key=lambda action: ACTION_TYPES.index(type(action)))
    # Pruning rests on which agents the server has in all: one more or less changes the percentage.
    scope = None if numbers.candidates and pruned else frozenset(_scope(wanted, actions))
    return Plan(
        actions=tuple(actions),
        findings=(
            *_not_healed(findings(desired, observed, now, policy.stale_after, named), heals),
            *_not_trusted(desired, observed, decisions),
            *jobs_without_agents(desired, observed, actions),
        ),
        prune=numbers,
        created=now,
        server=server,
        complete=desired.complete,
        scope=scope,
        groups=frozenset(groups),
        inventory_fingerprint=inventory_fingerprint(desired),
        server_fingerprint=server_fingerprint(observed, scope, groups),
    )


def _decisions(wanted: Mapping[str, DesiredAgent], observed: ObservedFleet, policy: PlanPolicy) -> dict[int, Decision]:
    """Ask the trust policies about each agent that is not authorized or not of the inventory; by the agents' ids."""
    return {
        # An authorized agent of the inventory needs no decision; what a policy holds against it comes from `doubt`.
        agent.id: decide(policy.trust or (), agent, wanted.get(agent.address))
        for agent in observed.agents
        if not agent.authorized or agent.address not in wanted
    }


def _asked_for(
    agent: Agent, wanted: Mapping[str, DesiredAgent], observed: ObservedFleet, policy: PlanPolicy
) -> DesiredAgent | None:
    """Return what the inventory wants of an agent, and to enable it where an upgrade that broke off has disabled it."""
    desired = wanted.get(agent.address)
    if policy.give_back and desired and desired.enabled is None and observed.left_by_upgrade(agent):
        return dataclasses.replace(desired, enabled=True)
    return desired


def _given_back(agent: Agent, desired: DesiredAgent | None, now: datetime) -> Iterator[Enable]:
    """Enable an agent of the inventory that somebody has disabled until a moment which is over."""
    why = agent.disabling
    if why and why.is_over(now) and agent.authorized and desired and desired.enabled is not False:
        yield Enable(agent_id=agent.id, address=agent.address, host=desired.label, reason=f"it was disabled {why.said}")


def _as_decided(agent: Agent, desired: DesiredAgent | None) -> DesiredAgent | None:
    """Leave what somebody has decided until a moment: the inventory counts again afterwards."""
    why = agent.disabling
    if why and why.until and desired and desired.enabled and agent.authorized:
        return dataclasses.replace(desired, enabled=None)
    return desired


def _agent_actions(
    agent: Agent, desired: DesiredAgent | None, decision: Decision | None, living: LivingGroups, policy: PlanPolicy
) -> Iterable[Action]:
    wanted = desired or DesiredAgent(host="", address=agent.address, groups_mode="merge")
    if decision is None:
        return (*_as_wanted(agent, wanted, living, policy), *_rechecks(agent, wanted, policy.trust or ()))
    if not decision.admitted:
        return ()
    if agent.authorized:  # not of the inventory, but a policy names it, perhaps with groups
        return () if decision.on_trial else _as_wanted(agent, wanted, living, policy, decision.groups)
    if decision.on_trial:
        return _on_trial(agent, wanted, decision, policy)
    authorization = Authorize(
        agent_id=agent.id, address=agent.address, host=wanted.label, reason=decision.reason, policy=decision.policy
    )
    if agent.disabled and wanted.enabled is None:
        # A record that was deleted comes back as it was, and a removal disables first: a new agent is there to work.
        wanted = dataclasses.replace(wanted, enabled=True)
    return (authorization, *_as_wanted(agent, wanted, living, policy, decision.groups))


def _as_wanted(
    agent: Agent,
    desired: DesiredAgent,
    living: LivingGroups,
    policy: PlanPolicy,
    extra: Iterable[str] = (),
) -> Iterator[Action]:
    if change := groups_change(agent, desired, living, policy.groups_mode, extra):
        yield change
    if desired.enabled is None or desired.enabled == agent.enabled:
        return
    kind = Enable if desired.enabled else Disable
    reason = "the inventory wants it so"
    yield kind(agent_id=agent.id, address=agent.address, host=desired.label, reason=reason)


def _rechecks(agent: Agent, wanted: DesiredAgent, trust: Iterable[TrustPolicy]) -> Iterator[Recheck]:
    for policy in trust:
        if reason := policy.doubt(agent, wanted):
            yield Recheck(
                agent_id=agent.id, address=agent.address, host=wanted.label, reason=reason, policy=policy.name
            )


def _on_trial(agent: Agent, wanted: DesiredAgent, decision: Decision, policy: PlanPolicy) -> Iterator[Action]:
    if agent.enabled:
        reason = "it gets no job until it is verified"
        yield Disable(agent_id=agent.id, address=agent.address, host=wanted.label, reason=reason)
    yield Authorize(
        agent_id=agent.id,
        address=agent.address,
        host=wanted.label,
        reason=decision.reason,
        policy=decision.policy,
        on_trial=True,
        enable=wanted.enabled is not False,
        groups=tuple(sorted(wanted.groups)),
        exact=(wanted.groups_mode or policy.groups_mode) == GroupsMode.EXACT,
    )


def _scope(wanted: Mapping[str, DesiredAgent], actions: Iterable[Action]) -> Iterator[str]:
    yield from wanted
    yield from (address for action in actions if (address := getattr(action, "address", "")))


def _not_healed(told: Iterable[Finding], heals: Iterable[RenameGroup]) -> list[Finding]:
    healed = {action.name for action in heals}
    return [finding for finding in told if finding.kind != "name_used_twice" or finding.subject not in healed]


def _not_trusted(
    desired: DesiredFleet, observed: ObservedFleet, decisions: Mapping[int, Decision]
) -> Iterator[Finding]:
    wanted = desired.by_address()
    for agent in observed.agents:
        decision = decisions.get(agent.id)
        if agent.authorized or decision is None or decision.admitted:
            continue
        ours = wanted.get(agent.address)
        if ours:
            hint = "Deploy the host" if ours.trust.policy == ATTESTED else "Choose a trust policy that names it"
            yield Finding("not_trusted", ours.label, decision.reason, hint)
        elif desired.complete:  # a slice says nothing about others
            hint = "Add its host to the inventory, or leave it out"
            yield Finding("discovered", agent.address, decision.reason, hint, "info")
