"""An inventory made true on a server, end to end: every action, the second run, slices, pruning, saved plans."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from contract.crew import Crew, client_of, plan_of, random_name
from contract.door import Door

from kraken_fleet.errors import PlanError
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.plan import Authorize, GroupsMode, Plan, PlanPolicy, Prune, make_plan, plan_from_json, plan_to_json
from kraken_fleet.reconcile import apply, apply_saved, observe, reconcile


def _mine(plan: Plan, *words: object) -> list[str]:
    """The actions about us: others on the server may have left names for the plan to heal."""
    return [action.describe() for action in plan.actions if any(str(word) in action.describe() for word in words)]


def _state(crew: Crew, agent_id: int) -> tuple[bool, bool, set[str]]:
    record = crew.record(agent_id)
    return record["authorized"], record["disabled"], {group["name"] for group in record["groups"]}


def test_new_agents_are_let_in_and_grouped_and_the_second_run_changes_nothing(crew: Crew) -> None:
    (first, a), (second, b) = crew.announce(), crew.announce()
    gpu, big = random_name(), random_name()
    agents = (DesiredAgent("a", a, frozenset({gpu})), DesiredAgent("b", b, frozenset({gpu, big}), enabled=False))
    events = crew.reconcile(*agents)
    assert {event.kind for event in events} == {"planned", "done", "finished"}
    assert _state(crew, first) == (True, False, {"all", gpu})
    assert _state(crew, second) == (True, True, {"all", gpu, big})
    assert _mine(plan_of(crew.reconcile(*agents)), a, b, gpu, big) == []


def test_merge_keeps_groups_that_the_inventory_does_not_name_and_exact_leaves_them(crew: Crew) -> None:
    (merged, a), (exact, b) = crew.announce(authorized=True), crew.announce(authorized=True)
    group_id, own = crew.server.group()
    for agent_id in (merged, exact):
        crew.client.set_agent_groups(agent_id, {1, group_id})
    gpu = frozenset({random_name()})
    agents = (DesiredAgent("a", a, gpu), DesiredAgent("b", b, gpu, groups_mode="exact"))
    crew.reconcile(*agents)
    assert crew.groups_of(merged) == {"all", own, *gpu}
    assert crew.groups_of(exact) == {"all", *gpu}
    crew.reconcile(DesiredAgent("a", a, gpu), policy=PlanPolicy(groups_mode=GroupsMode.EXACT))
    assert crew.groups_of(merged) == {"all", *gpu}


@pytest.mark.parametrize("enabled", [True, False])
def test_agents_are_enabled_and_disabled_only_when_the_inventory_says_so(crew: Crew, *, enabled: bool) -> None:
    agent_id, address = crew.announce(authorized=True)
    crew.client.set_agent_disabled(agent_id, enabled)
    crew.reconcile(DesiredAgent("a", address))
    assert crew.record(agent_id)["disabled"] is enabled
    wanted = DesiredAgent("a", address, enabled=enabled)
    crew.reconcile(wanted)
    assert crew.record(agent_id)["disabled"] is not enabled
    assert _mine(plan_of(crew.reconcile(wanted)), address) == []


def test_a_slice_of_an_inventory_touches_nobody_else(crew: Crew) -> None:
    (_, ours), (other, _), (waiting, _) = crew.announce(), crew.announce(authorized=True), crew.announce()
    group_id, own = crew.server.group()
    crew.client.set_agent_groups(other, {1, group_id})
    policy = PlanPolicy(groups_mode=GroupsMode.EXACT)
    plan = plan_of(crew.reconcile(DesiredAgent("a", ours, frozenset({own})), policy=policy))
    assert {getattr(action, "address", ours) for action in plan.actions} == {ours}
    assert _state(crew, other) == (True, False, {"all", own})
    assert _state(crew, waiting) == (False, False, set())


def test_two_controllers_do_their_slices_at_the_same_time(crew: Crew) -> None:
    group, agents = frozenset({random_name()}), [crew.announce() for _ in range(8)]
    slices = [
        DesiredFleet(tuple(DesiredAgent(a, a, group) for _, a in agents[start::2]), complete=False) for start in (0, 1)
    ]
    with client_of(crew.server) as other, ThreadPoolExecutor() as pool:
        plans = list(pool.map(lambda one, fleet: plan_of(list(reconcile(one, fleet))), (crew.client, other), slices))
    assert [len(plan.of(Authorize)) for plan in plans] == [4, 4]
    assert [_state(crew, number) for number, _ in agents] == [(True, False, {"all", *group})] * 8
    everybody = DesiredFleet(tuple(agent for fleet in slices for agent in fleet.agents), complete=False)
    again = make_plan(everybody, observe(crew.client, names=group), now=datetime.now(UTC))
    assert _mine(again, *group, *(address for _, address in agents)) == []


@pytest.mark.parametrize("prune", [Prune.DISABLE, Prune.UNAUTHORIZE, Prune.DELETE])
def test_a_slice_of_an_inventory_never_prunes(crew: Crew, prune: Prune) -> None:
    _, ours = crew.announce()
    other, _ = crew.announce(authorized=True)
    with pytest.raises(PlanError, match="a slice of it"):
        crew.reconcile(DesiredAgent("a", ours), policy=PlanPolicy(prune=prune, max_prune=100))
    assert _state(crew, other) == (True, False, {"all"})


def _prune(crew: Crew, leaving: list[int], policy: PlanPolicy) -> Plan:
    """Plan and apply, in one look at the server, for an inventory of all its authorized agents but these."""
    observed = observe(crew.client)
    staying = (agent for agent in observed.agents if agent.authorized and agent.id not in leaving)
    desired = DesiredFleet(tuple(DesiredAgent(f"host{agent.id}", agent.address) for agent in staying))
    plan = make_plan(desired, observed, policy, now=datetime.now(UTC))
    assert {action.agent_id for action in plan.actions if hasattr(action, "agent_id")} <= set(leaving)
    list(apply(crew.client, plan, observed=observed))
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
def test_pruning(crew: Crew, prune: Prune, *, authorized: bool, disabled: bool, deleted: bool) -> None:
    leaving = [crew.announce(authorized=True)[0] for _ in range(2)]
    plan = _prune(crew, leaving, PlanPolicy(prune=prune, max_prune=100))
    assert plan.prune.candidates == 2
    unknown = {finding.subject for finding in plan.findings if finding.kind == "unknown_agent"}
    for agent_id in leaving:
        record = crew.record(agent_id)
        found = record["authorized"], record["disabled"], record["deleted"] is not None
        assert found == (authorized, disabled, deleted)
        assert record["address"] in unknown
    crew.ids = [agent_id for agent_id in crew.ids if not deleted]


def test_pruning_more_than_allowed_is_refused_with_the_numbers(crew: Crew) -> None:
    leaving = [crew.announce(authorized=True)[0]]
    with pytest.raises(PlanError, match=r"it would delete 1 of \d+ agents .*, more than the 0 % that are allowed"):
        _prune(crew, leaving, PlanPolicy(prune=Prune.DELETE, max_prune=0))
    assert crew.record(leaving[0])["deleted"] is None


def _saved(crew: Crew, *agents: DesiredAgent) -> Plan:
    """A plan as it comes back from its file."""
    desired = DesiredFleet(agents, complete=False)
    plan = make_plan(desired, observe(crew.client), now=datetime.now(UTC), server=crew.client.url)
    return plan_from_json(plan_to_json(plan))


def test_a_saved_plan_is_applied_exactly_once(crew: Crew) -> None:
    agent_id, address = crew.announce()
    wanted = DesiredAgent("a", address, frozenset({random_name()}))
    plan = _saved(crew, wanted)
    desired = DesiredFleet((wanted,), complete=False)
    list(apply_saved(crew.client, plan, desired=desired))
    assert _state(crew, agent_id) == (True, False, {"all", *wanted.groups})
    with pytest.raises(PlanError, match="the server has changed"):
        list(apply_saved(crew.client, plan, desired=desired))


def test_a_saved_plan_is_stale_once_somebody_else_has_changed_an_agent_of_it(crew: Crew) -> None:
    agent_id, address = crew.announce()
    plan = _saved(crew, DesiredAgent("a", address))
    crew.server.api("PUT", f"/agents/{agent_id}", {"disabled": True})
    with pytest.raises(PlanError, match="the server has changed"):
        list(apply_saved(crew.client, plan))
    assert _state(crew, agent_id) == (False, True, set())


def test_a_saved_plan_is_not_stale_when_others_come_and_go(crew: Crew) -> None:
    agent_id, address = crew.announce()
    plan = _saved(crew, DesiredAgent("a", address))
    crew.announce(authorized=True)
    crew.server.group()
    list(apply_saved(crew.client, plan))
    assert _state(crew, agent_id) == (True, False, {"all"})


def test_a_saved_plan_is_stale_for_another_inventory_and_refused_on_another_server(crew: Crew) -> None:
    _, address = crew.announce()
    plan = _saved(crew, DesiredAgent("a", address))
    with pytest.raises(PlanError, match="the inventory has changed"):
        list(apply_saved(crew.client, plan, desired=DesiredFleet((DesiredAgent("b", address),), complete=False)))
    elsewhere = _elsewhere(crew.server, plan)
    with pytest.raises(PlanError, match=r"the plan is for http://elsewhere.example"):
        list(apply_saved(crew.client, elsewhere))


def _elsewhere(server: Door, plan: Plan) -> Plan:
    return plan_from_json(plan_to_json(plan).replace(server.url, "http://elsewhere.example"))
