"""Whoever can write to a saved plan: whom does `apply` let in because of it?"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_fleet.errors import FleetError, PlanError
from kraken_fleet.model import Agent, AgentsGroup, DesiredAgent, DesiredFleet, GroupRef, ObservedFleet
from kraken_fleet.plan import (
    GroupsMode,
    Plan,
    PlanPolicy,
    check_against_inventory,
    check_against_server,
    check_fresh,
    make_plan,
    plan_from_json,
    plan_to_dict,
    plan_to_json,
)

NOW = datetime(2026, 11, 28, tzinfo=UTC)
OURS, ROGUE = "10.9.9.9", "10.66.66.66"
ALL, GPU = AgentsGroup(1, "all"), AgentsGroup(2, "gpu")
OBSERVED = ObservedFleet(
    agents=(
        Agent(1, "a", OURS, OURS),
        Agent(2, "r", ROGUE, ROGUE),
        Agent(3, "in", "10.9.9.8", authorized=True, groups=(GroupRef(1, "all"),)),
    ),
    groups=(ALL, GPU, AgentsGroup(3, "secret-builds")),
)
DESIRED = DesiredFleet(
    (DesiredAgent("build-1", OURS, frozenset({"gpu"})), DesiredAgent("build-2", "10.9.9.8", frozenset({"gpu", "new"})))
)
Change = Callable[[dict[str, Any]], object]


def made() -> Plan:
    return make_plan(DESIRED, OBSERVED, now=NOW, server="http://k")


def read(document: dict[str, Any]) -> Plan:
    return plan_from_json(json.dumps(document))


def changed(change: Change) -> Plan:
    document: dict[str, Any] = json.loads(plan_to_json(made()))
    change(document)
    return read(document)


def action(document: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["actions"] if one["kind"] == kind)
    return found


def test_a_plan_as_it_was_made_is_applied() -> None:
    plan = plan_from_json(plan_to_json(made()))
    check_against_server(plan, OBSERVED)
    check_fresh(plan, OBSERVED, server="http://k", desired=DESIRED)
    check_against_inventory(plan, made())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plan: action(plan, "authorize").update(agent_id=2), f"agent 2 of the server is {ROGUE}"),
        (lambda plan: action(plan, "authorize").update(agent_id=77), "but the server has no agent 77"),
        (
            lambda plan: plan["actions"].append({**action(plan, "authorize"), "agent_id": 2, "address": ROGUE}),
            f"{ROGUE} is not among the agents that the plan is about",
        ),
        (lambda plan: action(plan, "set_groups").update(kept=[1, 3]), "also come into secret-builds"),
        (lambda plan: action(plan, "set_groups").update(kept=[99]), "no living group 99"),
        (lambda plan: action(plan, "set_groups")["added"].append("secret-builds"), "about no group secret-builds"),
        (lambda plan: action(plan, "create_group").update(name="secret-builds"), "about no such group"),
        (
            lambda plan: plan["actions"].append(
                {"kind": "rename_group", "group_id": 3, "name": "gpu", "new_name": "x", "deleted": False, "reason": ""}
            ),
            "group 3 of the server is not called so",
        ),
    ],
)
def test_an_action_is_refused_that_is_not_about_what_it_says(change: Change, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        check_against_server(changed(change), OBSERVED)


def test_a_rogue_that_the_file_covers_is_refused_when_the_inventory_is_given() -> None:
    def cover(document: dict[str, Any]) -> None:
        document["actions"].append({**action(document, "authorize"), "agent_id": 2, "address": ROGUE})
        document["scope"].append(ROGUE)

    plan = changed(cover)
    check_against_server(plan, OBSERVED)
    with pytest.raises(PlanError, match=rf"does not ask for: authorize build-1 \({ROGUE}\)"):
        check_against_inventory(plan, made())


def test_an_action_that_was_taken_out_is_missed_when_the_inventory_is_given() -> None:
    plan = changed(lambda document: document["actions"].remove(action(document, "authorize")))
    with pytest.raises(PlanError, match="lacks what it asks for: authorize build-1"):
        check_against_inventory(plan, made())


def test_other_options_than_the_plan_was_made_with_are_told() -> None:
    observed = ObservedFleet(
        (Agent(1, "a", OURS, authorized=True, groups=(GroupRef(3, "secret-builds"),)),), OBSERVED.groups
    )
    plan = make_plan(DESIRED, observed, PlanPolicy(groups_mode=GroupsMode.EXACT), now=NOW)
    with pytest.raises(PlanError) as refused:
        check_against_inventory(plan, make_plan(DESIRED, observed, now=NOW))
    assert "options that this one was made with" in str(refused.value.as_dict())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DOCUMENT: dict[str, Any] = plan_to_dict(made())


@given(st.sampled_from(sorted(DOCUMENT)), JSON)
def test_anything_in_the_place_of_a_part_is_a_plan_or_a_clear_error(name: str, value: object) -> None:
    taken_or_refused({**DOCUMENT, name: value})


@given(st.integers(0, len(made().actions) - 1), st.data(), JSON)
def test_anything_in_the_place_of_an_actions_field_is_a_plan_or_a_clear_error(
    number: int, data: st.DataObject, value: object
) -> None:
    actions = [dict(one) for one in json.loads(plan_to_json(made()))["actions"]]
    actions[number][data.draw(st.sampled_from(sorted(actions[number])))] = value
    taken_or_refused({**DOCUMENT, "actions": actions})


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_plan_or_a_clear_error(content: bytes) -> None:
    with pytest.raises(FleetError):
        plan_from_json(content)


def test_json_nested_without_end_is_a_clear_error() -> None:
    with pytest.raises(PlanError, match="not JSON"):
        plan_from_json("[" * 100_000)


def taken_or_refused(document: dict[str, Any]) -> None:
    try:
        plan = read(document)
        check_against_server(plan, OBSERVED)
        check_fresh(plan, OBSERVED, server="http://k", desired=DESIRED)
        check_against_inventory(plan, made())
    except FleetError:
        return
    assert plan.actions == made().actions or {a.describe() for a in plan.actions} == {
        a.describe() for a in made().actions
    }
