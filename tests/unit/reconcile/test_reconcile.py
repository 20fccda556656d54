"""A fleet made as the inventory wants it, on a real embedded server."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError, PlanError, ServerUnreachableError
from kraken_fleet.model import ObservedFleet
from kraken_fleet.plan import (
    Authorize,
    CreateGroup,
    Plan,
    PlanPolicy,
    Prune,
    SetGroups,
    make_plan,
    plan_from_json,
    plan_to_json,
)
from kraken_fleet.reconcile import (
    Planned,
    apply,
    apply_saved,
    disable,
    disabling,
    observe,
    reconcile,
    wait_for_agents,
    watch,
)
from tests.fake_clock import FakeClock
from tests.unit.reconcile.lab import Lab, fleet, kinds

A, B, C = "127.0.0.21", "127.0.0.22", "127.0.0.23"
UNUSED_IDS = 5  # asked for to see that no deleted group is newer than the living ones


def test_new_agents_are_let_in_and_grouped_and_the_second_time_nothing_is_sent(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)
    wanted = fleet(("a", A, "gpu"), ("b", B, "gpu big"))
    assert kinds(reconcile(lab.client, wanted)) == ["planned", *["done"] * 6, "finished"]
    assert lab.agent(A).group_names == {"all", "gpu"}
    assert lab.agent(B).group_names == {"all", "gpu", "big"}

    lab.requests.clear()
    assert kinds(reconcile(lab.client, wanted)) == ["planned"]
    assert lab.writes == []
    assert len(lab.requests) == 3 + UNUSED_IDS


def test_all_agents_are_authorized_in_one_request(lab: Lab) -> None:
    addresses = [f"127.0.1.{number}" for number in range(1, 41)]
    for address in addresses:
        lab.speak(address)
    list(reconcile(lab.client, fleet(*((f"h{address}", address, "gpu") for address in addresses))))
    assert len([line for line in lab.writes if line.startswith("PATCH")]) == 1
    assert len([line for line in lab.writes if line.startswith("PUT")]) == 40
    assert len(lab.client.agents()) == 40


def test_more_new_groups_cost_one_call_each(lab: Lab) -> None:
    lab.client.groups()  # signs in
    calls = []
    for address, number in ((A, 1), (B, 9)):
        lab.speak(address)
        wanted = fleet((address, address, " ".join(f"{address}-{group}" for group in range(number))), complete=False)
        lab.requests.clear()
        list(reconcile(lab.client, wanted))
        calls.append(len(lab.requests))
        assert len(lab.agent(address).groups) == 1 + number
    assert calls[1] - calls[0] == 8


def test_a_dry_run_sends_no_change(lab: Lab) -> None:
    lab.speak(A)
    (planned,) = reconcile(lab.client, fleet(("a", A, "gpu")), dry_run=True, timeout=60)
    assert isinstance(planned, Planned)
    assert planned.plan.summary() == {"create_group": 1, "authorize": 1, "set_groups": 1}
    assert lab.writes == []


def test_agents_outside_the_inventory_are_left_alone(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)
    list(reconcile(lab.client, fleet(("a", A, "gpu"), complete=False)))
    assert not lab.agent(B).authorized


def test_an_agent_that_appears_while_we_wait_is_let_in(lab: Lab) -> None:
    clock = FakeClock(steps=[lambda: None, lambda: lab.speak(A)])
    events = list(reconcile(lab.client, fleet(("a", A, "gpu")), timeout=30, clock=clock))
    assert [event.kind for event in events][:3] == ["waiting", "waiting", "planned"]
    assert lab.agent(A).authorized


def test_an_agent_that_never_appears_is_named_with_a_reason_and_the_others_are_done(lab: Lab) -> None:
    lab.speak(A)
    with pytest.raises(PartialFailureError) as caught:
        list(reconcile(lab.client, fleet(("a", A, "gpu"), ("b", B, "")), timeout=5, clock=FakeClock()))
    assert list(caught.value.failures) == ["b"]
    assert f"no agent has ever claimed {B}" in caught.value.failures["b"]
    assert lab.agent(A).group_names == {"all", "gpu"}


def test_a_host_that_introduces_itself_by_another_address_is_explained(lab: Lab) -> None:
    lab.speak("172.17.0.9", source=A)
    lab.speak(C, source=B)
    wanted = fleet(("a", A, ""), ("b", B, ""), ("c", C, ""))
    arrival = wait_for_agents(lab.client, wanted, 0)
    told = {missing.host: missing.reason for missing in arrival.missing}
    assert told["a"] == f"an agent connects from {A} but claims 172.17.0.9"
    assert told["b"] == f"an agent connects from {B} but claims {C}, the address of another host of the inventory"
    assert list(arrival.seen) == [C]


def test_an_agent_last_seen_before_its_deploy_counts_as_missing(lab: Lab) -> None:
    lab.speak(A)
    later = datetime.now(UTC) + timedelta(minutes=1)
    arrival = wait_for_agents(lab.client, fleet(("a", A, "")), 0, seen_after={"a": later})
    assert "was not seen since the deploy" in arrival.missing[0].reason


def test_waiting_tells_who_is_missing_before_each_pause(lab: Lab) -> None:
    told: list[tuple[str, ...]] = []
    wait_for_agents(
        lab.client, fleet(("a", A, "")), 1, clock=FakeClock(), told=lambda event: told.append(event.missing)
    )
    assert set(told) == {("a",)}


def test_one_agent_that_is_gone_does_not_stop_the_others_of_its_request(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)
    gone = Authorize(agent_id=999, address="10.9.9.9", host="gone", policy="inventory")
    its_groups = SetGroups(agent_id=999, address="10.9.9.9", host="gone", added=("gpu",))
    plan = make_plan(fleet(("a", A, "gpu"), ("b", B, "gpu")), observe(lab.client), now=datetime.now(UTC))
    damaged = replace(plan, actions=(*plan.actions, gone, its_groups))
    with pytest.raises(PartialFailureError) as caught:
        list(apply(lab.client, damaged))
    assert list(caught.value.failures) == ["gone (10.9.9.9)"]
    assert {agent.address for agent in lab.client.agents()} == {A, B}
    assert lab.agent(B).group_names == {"all", "gpu"}
    assert not any("/agents/999" in line for line in lab.requests), "its further changes are left out"


def test_a_group_that_another_controller_made_meanwhile_is_used(lab: Lab) -> None:
    lab.speak(A)
    observed = observe(lab.client)
    plan = make_plan(fleet(("a", A, "gpu")), observed, now=datetime.now(UTC))
    made = lab.client.create_group("gpu")
    list(apply(lab.client, plan, observed=observed))
    assert made.id in {ref.id for ref in lab.agent(A).groups}


def test_a_server_that_is_gone_ends_everything_at_once() -> None:
    plan = Plan(actions=tuple(CreateGroup(name=f"g{number}") for number in range(1000)))
    with KrakenClient("http://127.0.0.1:9", timeout=1) as client, pytest.raises(ServerUnreachableError):
        list(apply(client, plan, observed=ObservedFleet()))


def test_a_name_that_was_deleted_and_made_again_is_healed(lab: Lab) -> None:
    lab.speak(A)
    first = lab.raw("POST", "/api/groups", {"name": "gpu"})
    lab.raw("DELETE", f"/api/groups/{first['id']}")
    lab.raw("POST", "/api/groups", {"name": "gpu"})
    wanted = fleet(("a", A, "gpu"))
    (planned, *rest) = reconcile(lab.client, wanted)
    assert isinstance(planned, Planned)
    number = first["id"]
    said = f"rename deleted agents group gpu (id {number}) to gpu-deleted-{number}"
    assert planned.plan.actions[0].describe() == said
    assert rest[-1].kind == "finished"
    assert lab.client.group(first["id"]).name == f"gpu-deleted-{first['id']}"
    assert kinds(reconcile(lab.client, wanted)) == ["planned"]


def test_two_living_groups_of_one_name_become_two_names(lab: Lab) -> None:
    lab.speak(A)
    first, second = (lab.raw("POST", "/api/groups", {"name": name}) for name in ("gpu", "other"))
    lab.raw("PUT", f"/api/groups/{second['id']}", {"name": "gpu"})
    list(reconcile(lab.client, fleet(("a", A, "gpu"))))
    names = {group.id: group.name for group in lab.client.groups()}
    assert (names[first["id"]], names[second["id"]]) == ("gpu", f"gpu-duplicate-{second['id']}")
    assert {ref.id for ref in lab.agent(A).groups} == {1, first["id"]}


def test_deleted_groups_are_asked_for_once(lab: Lab) -> None:
    group = lab.raw("POST", "/api/groups", {"name": "gpu"})
    lab.raw("DELETE", f"/api/groups/{group['id']}")
    lab.raw("POST", "/api/groups", {"name": "big"})
    assert [found.name for found in observe(lab.client).deleted_groups] == ["gpu"]
    lab.requests.clear()
    assert [found.name for found in observe(lab.client).deleted_groups] == ["gpu"]
    assert len(lab.requests) == 3 + UNUSED_IDS


def test_pruning_removes_only_what_a_complete_inventory_lacks(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)
    list(reconcile(lab.client, fleet(("a", A, ""), ("b", B, ""))))
    policy = PlanPolicy(prune=Prune.DELETE, max_prune=50)
    list(reconcile(lab.client, fleet(("a", A, "")), policy))
    assert [agent.address for agent in lab.client.agents()] == [A]


def test_pruning_above_the_limit_changes_nothing_but_shows_the_numbers(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)
    list(reconcile(lab.client, fleet(("a", A, ""), ("b", B, ""))))
    lab.requests.clear()
    events = reconcile(lab.client, fleet(("a", A, "")), PlanPolicy(prune=Prune.UNAUTHORIZE))
    planned = next(events)
    assert isinstance(planned, Planned)
    assert (planned.plan.prune.candidates, planned.plan.prune.total) == (1, 2)
    with pytest.raises(PlanError, match=r"more than the 10 %"):
        list(events)
    assert lab.writes == []


def test_a_saved_plan_is_applied_exactly_and_refused_the_second_time(lab: Lab) -> None:
    lab.speak(A)
    saved = plan_to_json(
        make_plan(fleet(("a", A, "gpu")), observe(lab.client), now=datetime.now(UTC), server=lab.client.url)
    )
    assert kinds(apply_saved(lab.client, plan_from_json(saved)))[-1] == "finished"
    assert lab.agent(A).group_names == {"all", "gpu"}
    with pytest.raises(PlanError, match="The server has changed since the plan was made"):
        list(apply_saved(lab.client, plan_from_json(saved)))


def test_a_watch_goes_on_after_a_round_that_failed(lab: Lab) -> None:
    lab.speak(A)
    rounds = iter([PlanError("the inventory is broken"), fleet(("a", A, "gpu"))])

    def load() -> object:
        found = next(rounds)
        if isinstance(found, Exception):
            raise found
        return found

    clock = FakeClock()
    events = list(
        watch(lab.client, load, interval=100, jitter=0.2, rounds=2, clock=clock, chance=lambda: 1.0)  # type: ignore[arg-type]
    )
    assert [event.kind for event in events[:3]] == ["round_failed", "sleeping", "planned"]
    assert clock.time == pytest.approx(120)
    assert lab.agent(A).authorized


def test_every_event_is_a_json_line(lab: Lab) -> None:
    lab.speak(A)
    lines = [json.dumps(event.to_dict()) for event in reconcile(lab.client, fleet(("a", A, "gpu")))]
    assert json.loads(lines[1])["action"]["does"] == "create agents group gpu"


def test_a_watch_comes_back_earlier_for_an_agent_that_is_to_be_enabled_before(lab: Lab) -> None:
    lab.speak(A)
    wanted = fleet(("a", A, "gpu"))
    list(reconcile(lab.client, wanted))
    end = lab.client.server_time() + timedelta(seconds=50)
    list(disable(lab.client, [lab.agent(A)], why=disabling(lab.client, "anna", until=end)))
    clock = FakeClock()
    list(watch(lab.client, lambda: wanted, interval=300, jitter=0, rounds=2, clock=clock))
    assert 30 < clock.time <= 51
