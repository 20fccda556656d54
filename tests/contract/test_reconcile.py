"""An inventory made true on a server, end to end: every action, the second run, slices, pruning, saved plans."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from kraken_fleet.errors import PlanError
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.plan import Authorize, GroupsMode, Plan, PlanPolicy, Prune, make_plan, plan_from_json, plan_to_json
from kraken_fleet.reconcile import apply, apply_saved, observe, reconcile
from tests.contract.hand_agents import HandAgents, client_of, plan_of
from tests.contract.kraken_server import KrakenServer
from tests.unique_names import unique_name


def _mine(plan: Plan, *words: object) -> list[str]:
    """The actions about us: others on the server may have left names for the plan to heal."""
    return [action.describe() for action in plan.actions if any(str(word) in action.describe() for word in words)]


def _state(hand_agents: HandAgents, agent_id: int) -> tuple[bool, bool, set[str]]:
    record = hand_agents.record(agent_id)
    return record["authorized"], record["disabled"], {group["name"] for group in record["groups"]}


def test_new_agents_are_let_in_and_grouped_and_the_second_run_changes_nothing(hand_agents: HandAgents) -> None:
    (first, a), (second, b) = hand_agents.announce(), hand_agents.announce()
    gpu, big = unique_name(), unique_name()
    agents = (DesiredAgent("a", a, frozenset({gpu})), DesiredAgent("b", b, frozenset({gpu, big}), enabled=False))
    events = hand_agents.reconcile(*agents)
    assert {event.kind for event in events} == {"planned", "done", "finished"}
    assert _state(hand_agents, first) == (True, False, {"all", gpu})
    assert _state(hand_agents, second) == (True, True, {"all", gpu, big})
    assert _mine(plan_of(hand_agents.reconcile(*agents)), a, b, gpu, big) == []


def test_merge_keeps_groups_that_the_inventory_does_not_name_and_exact_leaves_them(hand_agents: HandAgents) -> None:
    (merged, a), (exact, b) = hand_agents.announce(authorized=True), hand_agents.announce(authorized=True)
    group_id, own = hand_agents.server.group()
    for agent_id in (merged, exact):
        hand_agents.client.set_agent_groups(agent_id, {1, group_id})
    gpu = frozenset({unique_name()})
    agents = (DesiredAgent("a", a, gpu), DesiredAgent("b", b, gpu, groups_mode="exact"))
    hand_agents.reconcile(*agents)
    assert hand_agents.groups_of(merged) == {"all", own, *gpu}
    assert hand_agents.groups_of(exact) == {"all", *gpu}
    hand_agents.reconcile(DesiredAgent("a", a, gpu), policy=PlanPolicy(groups_mode=GroupsMode.EXACT))
    assert hand_agents.groups_of(merged) == {"all", *gpu}


@pytest.mark.parametrize("enabled", [True, False])
def test_agents_are_enabled_and_disabled_only_when_the_inventory_says_so(
    hand_agents: HandAgents, *, enabled: bool
) -> None:
    agent_id, address = hand_agents.announce(authorized=True)
    client = hand_agents.client
    (client.disable_agent if enabled else client.enable_agent)(agent_id)
    hand_agents.reconcile(DesiredAgent("a", address))
    assert hand_agents.record(agent_id)["disabled"] is enabled
    wanted = DesiredAgent("a", address, enabled=enabled)
    hand_agents.reconcile(wanted)
    assert hand_agents.record(agent_id)["disabled"] is not enabled
    assert _mine(plan_of(hand_agents.reconcile(wanted)), address) == []


def test_a_slice_of_an_inventory_touches_nobody_else(hand_agents: HandAgents) -> None:
    (_, ours), (other, _), (discovered, _) = (
        hand_agents.announce(),
        hand_agents.announce(authorized=True),
        hand_agents.announce(),
    )
    group_id, own = hand_agents.server.group()
    hand_agents.client.set_agent_groups(other, {1, group_id})
    policy = PlanPolicy(groups_mode=GroupsMode.EXACT)
    plan = plan_of(hand_agents.reconcile(DesiredAgent("a", ours, frozenset({own})), policy=policy))
    assert {getattr(action, "address", ours) for action in plan.actions} == {ours}
    assert _state(hand_agents, other) == (True, False, {"all", own})
    assert _state(hand_agents, discovered) == (False, False, set())


def test_two_controllers_do_their_slices_at_the_same_time(hand_agents: HandAgents) -> None:
    group, agents = frozenset({unique_name()}), [hand_agents.announce() for _ in range(8)]
    slices = [
        DesiredFleet(tuple(DesiredAgent(a, a, group) for _, a in agents[start::2]), complete=False) for start in (0, 1)
    ]
    with client_of(hand_agents.server) as other, ThreadPoolExecutor() as pool:
        plans = list(
            pool.map(lambda one, fleet: plan_of(list(reconcile(one, fleet))), (hand_agents.client, other), slices)
        )
    assert [len(plan.of(Authorize)) for plan in plans] == [4, 4]
    assert [_state(hand_agents, number) for number, _ in agents] == [(True, False, {"all", *group})] * 8
    everybody = DesiredFleet(tuple(agent for fleet in slices for agent in fleet.agents), complete=False)
    again = make_plan(everybody, observe(hand_agents.client, names=group), now=datetime.now(UTC))
    assert _mine(again, *group, *(address for _, address in agents)) == []


@pytest.mark.parametrize("prune", [Prune.DISABLE, Prune.UNAUTHORIZE, Prune.DELETE])
def test_a_slice_of_an_inventory_never_prunes(hand_agents: HandAgents, prune: Prune) -> None:
    _, ours = hand_agents.announce()
    other, _ = hand_agents.announce(authorized=True)
    with pytest.raises(PlanError, match="has chosen a part of it"):
        hand_agents.reconcile(DesiredAgent("a", ours), policy=PlanPolicy(prune=prune, max_prune=100))
    assert _state(hand_agents, other) == (True, False, {"all"})


def _prune(hand_agents: HandAgents, leaving: list[int], policy: PlanPolicy) -> Plan:
    """Plan and apply, in one look at the server, for an inventory of all its authorized agents but these."""
    observed = observe(hand_agents.client)
    staying = (agent for agent in observed.agents if agent.authorized and agent.id not in leaving)
    desired = DesiredFleet(tuple(DesiredAgent(f"host{agent.id}", agent.address) for agent in staying))
    plan = make_plan(desired, observed, policy, now=datetime.now(UTC))
    assert {action.agent_id for action in plan.actions if hasattr(action, "agent_id")} <= set(leaving)
    list(apply(hand_agents.client, plan, observed=observed))
    return plan


@pytest.mark.parametrize(
    ("prune", "authorized", "disabled", "deleted"),
    [
        (Prune.REPORT, True, False, False),
        (Prune.DISABLE, True, True, False),
        (Prune.UNAUTHORIZE, False, False, False),
        (Prune.DELETE, False, True, True),
    ],
)
def test_pruning(hand_agents: HandAgents, prune: Prune, *, authorized: bool, disabled: bool, deleted: bool) -> None:
    leaving = [hand_agents.announce(authorized=True)[0] for _ in range(2)]
    plan = _prune(hand_agents, leaving, PlanPolicy(prune=prune, max_prune=100))
    assert plan.prune.candidates == 2
    unknown = {finding.subject for finding in plan.findings if finding.kind == "unknown_agent"}
    for agent_id in leaving:
        record = hand_agents.record(agent_id)
        found = record["authorized"], record["disabled"], record["deleted"] is not None
        assert found == (authorized, disabled, deleted)
        assert record["address"] in unknown
    hand_agents.ids = [agent_id for agent_id in hand_agents.ids if not deleted]


def test_pruning_more_than_allowed_is_refused_with_the_numbers(hand_agents: HandAgents) -> None:
    leaving = [hand_agents.announce(authorized=True)[0]]
    with pytest.raises(PlanError, match=r"It would delete 1 of \d+ agents .*, more than the 0 % that are allowed"):
        _prune(hand_agents, leaving, PlanPolicy(prune=Prune.DELETE, max_prune=0))
    assert hand_agents.record(leaving[0])["deleted"] is None


def _saved(hand_agents: HandAgents, *agents: DesiredAgent) -> Plan:
    """A plan as it comes back from its file."""
    desired = DesiredFleet(agents, complete=False)
    plan = make_plan(desired, observe(hand_agents.client), now=datetime.now(UTC), server=hand_agents.client.url)
    return plan_from_json(plan_to_json(plan))


def test_a_saved_plan_is_applied_exactly_once(hand_agents: HandAgents) -> None:
    agent_id, address = hand_agents.announce()
    wanted = DesiredAgent("a", address, frozenset({unique_name()}))
    plan = _saved(hand_agents, wanted)
    desired = DesiredFleet((wanted,), complete=False)
    list(apply_saved(hand_agents.client, plan, desired=desired))
    assert _state(hand_agents, agent_id) == (True, False, {"all", *wanted.groups})
    with pytest.raises(PlanError, match="The server has changed"):
        list(apply_saved(hand_agents.client, plan, desired=desired))


def test_a_saved_plan_is_stale_once_somebody_else_has_changed_an_agent_of_it(hand_agents: HandAgents) -> None:
    agent_id, address = hand_agents.announce()
    plan = _saved(hand_agents, DesiredAgent("a", address))
    hand_agents.server.api("PUT", f"/agents/{agent_id}", {"disabled": True})
    with pytest.raises(PlanError, match="The server has changed"):
        list(apply_saved(hand_agents.client, plan))
    assert _state(hand_agents, agent_id) == (False, True, set())


def test_a_saved_plan_is_not_stale_when_others_come_and_go(hand_agents: HandAgents) -> None:
    agent_id, address = hand_agents.announce()
    plan = _saved(hand_agents, DesiredAgent("a", address))
    hand_agents.announce(authorized=True)
    hand_agents.server.group()
    list(apply_saved(hand_agents.client, plan))
    assert _state(hand_agents, agent_id) == (True, False, {"all"})


def test_a_saved_plan_is_stale_for_another_inventory_and_refused_on_another_server(hand_agents: HandAgents) -> None:
    _, address = hand_agents.announce()
    plan = _saved(hand_agents, DesiredAgent("a", address))
    with pytest.raises(PlanError, match="The inventory has changed"):
        list(apply_saved(hand_agents.client, plan, desired=DesiredFleet((DesiredAgent("b", address),), complete=False)))
    elsewhere = _elsewhere(hand_agents.server, plan)
    with pytest.raises(PlanError, match=r"The plan is for http://elsewhere.example"):
        list(apply_saved(hand_agents.client, elsewhere))


def _elsewhere(server: KrakenServer, plan: Plan) -> Plan:
    return plan_from_json(plan_to_json(plan).replace(server.url, "http://elsewhere.example"))
