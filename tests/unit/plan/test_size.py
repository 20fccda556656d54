"""Planning stays quick as fleets grow: no step looks at all agents for each agent."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from kraken_fleet.model import Agent, AgentsGroup, DesiredAgent, DesiredFleet, ObservedFleet, TrustRule
from kraken_fleet.plan import CidrTrust, PlanPolicy, RulesTrust, make_plan, plan_from_json, plan_to_json
from kraken_fleet.plan.saved import check_against_server
from kraken_fleet.plan.trust import InventoryTrust
from tests.walked import Walked

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBER = 10_000


def _address(index: int) -> str:
    return f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"


def test_ten_thousand_agents_half_new_half_missing_are_planned_in_seconds() -> None:
    desired = DesiredFleet(
        tuple(DesiredAgent(f"h{index}", _address(index), frozenset({"gpu"})) for index in range(NUMBER))
    )
    agents = tuple(
        Agent(index, f"a{index}", _address(index + NUMBER // 2), "192.0.2.1", last_seen=NOW)
        for index in range(1, NUMBER + 1)
    )
    observed = ObservedFleet(agents, (AgentsGroup(1, "all"), AgentsGroup(2, "gpu")), NOW)
    trust = (
        InventoryTrust(),
        CidrTrust(("172.16.0.0/12",)),
        RulesTrust((TrustRule(frozenset({"x"}), ("10.9.0.0/16",)),)),
    )
    started = time.process_time()  # other work on the machine does not count
    plan = make_plan(desired, observed, PlanPolicy(trust=trust), now=NOW)
    assert plan_from_json(plan_to_json(plan)) == plan
    assert time.process_time() - started < 10  # about 1 s on an idle machine; minutes when it is quadratic
    assert plan.summary() == {"authorize": NUMBER // 2 - 1, "set_groups": NUMBER // 2 - 1}


def test_a_saved_plan_is_checked_without_a_walk_for_each_change() -> None:
    walks = []
    for number in (20, 200):
        desired = DesiredFleet(tuple(DesiredAgent(f"h{index}", _address(index)) for index in range(number)))
        agents = Walked(Agent(index + 1, f"a{index}", _address(index), last_seen=NOW) for index in range(number))
        observed = ObservedFleet(agents, (AgentsGroup(1, "all"),), NOW)
        plan = make_plan(desired, observed, now=NOW)
        assert plan.summary() == {"authorize": number}
        before = agents.walks
        check_against_server(plan, observed)
        walks.append(agents.walks - before)
    assert walks == [1, 1]
