"""Saved plans, fingerprints, and what sets of groups are sent."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kraken_fleet.errors import PlanError
from kraken_fleet.model import (
    Agent,
    AgentsGroup,
    DesiredAgent,
    DesiredFleet,
    GroupRef,
    HostInfo,
    ObservedFleet,
    TrustRule,
)
from kraken_fleet.plan import (
    SCHEMA,
    AttestedTrust,
    Authorize,
    CidrTrust,
    Finding,
    PlanPolicy,
    Prune,
    RulesTrust,
    SetGroups,
    check_fresh,
    make_plan,
    plan_from_json,
    plan_to_json,
)
from kraken_fleet.plan.actions import ACTION_TYPES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS = (AgentsGroup(1, "all"), AgentsGroup(2, "gpu"), AgentsGroup(3, "old"))
WANTED = DesiredFleet((DesiredAgent("a", "10.0.0.1", frozenset({"gpu"}), reasons=(("gpu", "because"),)),))
AGENT = Agent(7, "a", "10.0.0.1", "10.0.0.1", True, groups=(GroupRef(1, "all"), GroupRef(3, "old")), last_seen=NOW)
SERVER = ObservedFleet((AGENT,), GROUPS, NOW)
DOCUMENT = Path(__file__).parents[3] / "docs" / "plan-schema.md"


def test_the_set_of_groups_keeps_all_and_says_why_each_is_added() -> None:
    (action,) = make_plan(WANTED, SERVER, now=NOW).of(SetGroups)
    assert (action.kept, action.added, action.removed) == ((1, 3), ("gpu",), ())
    assert action.reasons == (("gpu", "because"),)


def test_an_agent_that_is_not_authorized_yet_is_sent_back_into_all() -> None:
    fresh = replace(AGENT, authorized=False, groups=())
    (action,) = make_plan(WANTED, SERVER.with_agents([fresh]), now=NOW).of(SetGroups)
    assert action.kept == (1,)


def test_the_same_things_give_the_same_fingerprint_whatever_their_order() -> None:
    two = DesiredFleet((*WANTED.agents, DesiredAgent("b", "10.0.0.2")))
    turned = DesiredFleet(tuple(reversed(two.agents)))
    first, second = make_plan(two, SERVER, now=NOW), make_plan(turned, SERVER, now=NOW + timedelta(1))
    assert first.inventory_fingerprint == second.inventory_fingerprint
    assert first.server_fingerprint == second.server_fingerprint


def test_a_plan_still_fits_when_only_times_jobs_and_other_agents_changed() -> None:
    plan = make_plan(WANTED, SERVER, now=NOW)
    other = Agent(8, "b", "10.0.0.2", authorized=True)
    check_fresh(plan, SERVER.with_agents([replace(AGENT, last_seen=None, host_info=HostInfo("x")), other]))


@pytest.mark.parametrize(
    "now",
    [
        SERVER.with_agents([replace(AGENT, authorized=False)]),
        SERVER.with_agents([replace(AGENT, disabled=True)]),
        SERVER.with_agents([replace(AGENT, groups=())]),
        SERVER.with_agents([]),
        replace(SERVER, groups=(GROUPS[0], GROUPS[2])),
        replace(SERVER, deleted_groups=(AgentsGroup(9, "gpu"),)),
    ],
    ids=["unauthorized", "disabled", "other groups", "deleted", "group deleted", "name used twice"],
)
def test_a_stale_plan_is_refused(now: ObservedFleet) -> None:
    with pytest.raises(PlanError, match=r"The server has changed since the plan was made\. Make a new plan"):
        check_fresh(make_plan(WANTED, SERVER, now=NOW), now)


def test_a_plan_for_another_inventory_or_server_is_refused() -> None:
    plan = make_plan(WANTED, SERVER, now=NOW, server="http://one")
    with pytest.raises(PlanError, match="The inventory has changed"):
        check_fresh(plan, SERVER, desired=DesiredFleet())
    with pytest.raises(PlanError, match="The plan is for http://one, not for http://two"):
        check_fresh(plan, SERVER, server="http://two")
    check_fresh(plan, SERVER, server="http://one", desired=WANTED)


def test_a_plan_that_prunes_rests_on_every_agent_of_the_server() -> None:
    other = Agent(8, "b", "10.0.0.2", authorized=True)
    both = SERVER.with_agents([AGENT, other])
    plan = make_plan(WANTED, both, PlanPolicy(prune=Prune.DELETE, max_prune=50), now=NOW)
    assert plan.scope is None
    with pytest.raises(PlanError, match="The server has changed"):
        check_fresh(plan, both.with_agents([AGENT, other, replace(other, id=9, address="10.0.0.3")]))


def test_refused_pruning_keeps_the_plan_from_being_applied() -> None:
    other = SERVER.with_agents([AGENT, Agent(8, "b", "10.0.0.2", authorized=True)])
    plan = make_plan(WANTED, other, PlanPolicy(prune=Prune.DELETE), now=NOW)
    with pytest.raises(PlanError, match=r"would delete 1 of 2 agents \(50 %\).*Raise --max-prune"):
        check_fresh(plan, other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "Its schema is None"),
        ('{"schema": "kraken-fleet/plan/99"}', "Its schema is 'kraken-fleet/plan/99', not " + SCHEMA),
        (json.dumps({"schema": SCHEMA}), "damaged"),
    ],
)
def test_a_file_that_is_no_plan_is_named(text: str, said: str) -> None:
    with pytest.raises(PlanError, match=re.escape(said)) as caught:
        plan_from_json(text, where="my.plan")
    assert caught.value.where == "my.plan"


@pytest.mark.parametrize("change", [{"agent_id": "7"}, {"colour": "red"}, {"kind": "explode"}])
def test_a_plan_with_a_forged_action_is_refused(change: dict[str, object]) -> None:
    document = json.loads(plan_to_json(make_plan(WANTED, SERVER, now=NOW)))
    document["actions"][0].update(change)
    with pytest.raises(PlanError, match="damaged"):
        plan_from_json(json.dumps(document))


def test_a_plan_holds_no_nonce() -> None:
    fresh = SERVER.with_agents([replace(AGENT, authorized=False)])
    trust = AttestedTrust({"10.0.0.1": "s3cret"})
    plan = make_plan(WANTED, fresh, PlanPolicy(trust=(trust,)), now=NOW)
    (trial,) = plan.of(Authorize)
    assert (trial.on_trial, trial.enable, trial.groups) == (True, True, ("gpu",))
    assert "s3cret" not in plan_to_json(plan) + repr(trust)


@pytest.mark.parametrize(("told", "stays"), [("s3cret", True), ("guess", False), (None, False)])
def test_an_attested_agent_stays_when_it_repeats_its_nonce(told: str | None, stays: bool) -> None:
    trust = AttestedTrust({"10.0.0.1": "s3cret"})
    agent = replace(AGENT, host_info=HostInfo.from_json({"system": "x", "kraken_fleet_nonce": told}))
    assert trust.judge(agent, WANTED.agents[0]).admitted is stays
    hashed = AttestedTrust({"10.0.0.1": hashlib.sha256(b"s3cret").hexdigest()}, hashed=True)
    assert hashed.judge(agent, WANTED.agents[0]).admitted is stays


@pytest.mark.parametrize(("seconds", "said"), [(40, "40 s ago"), (200, "3 min ago"), (90_000, "1 d ago")])
def test_a_silent_agent_is_told_of_with_the_time_in_a_fitting_unit(seconds: int, said: str) -> None:
    silent = SERVER.with_agents([replace(AGENT, last_seen=NOW - timedelta(seconds=seconds))])
    findings = make_plan(WANTED, silent, PlanPolicy(stale_after=timedelta(seconds=30)), now=NOW).findings
    (found,) = [one for one in findings if one.kind == "stale"]
    assert found.message == f"10.0.0.1 was last seen {said}"
    assert found.severity == "warning"


def test_an_agent_without_room_that_is_silent_is_told_of_for_its_disk_only() -> None:
    info = HostInfo.from_json({"system": "x", "kraken_fleet_no_jobs": "the disk has 1 MiB free"})
    silent = replace(AGENT, last_seen=NOW - timedelta(minutes=6), host_info=info)
    findings = make_plan(WANTED, SERVER.with_agents([silent]), now=NOW).findings
    assert [(one.kind, one.severity) for one in findings] == [("stale", "info"), ("takes_no_jobs", "error")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: CidrTrust(("10.0.0.0/33",)),
        lambda: RulesTrust((TrustRule(frozenset({"x"}), ()),)),
        lambda: PlanPolicy(max_prune=101),
        lambda: PlanPolicy(stale_after=timedelta(0)),
    ],
)
def test_an_impossible_policy_is_refused_when_it_is_made(make: object) -> None:
    with pytest.raises(PlanError):
        make()  # type: ignore[operator]


def test_the_schema_document_tells_every_action_finding_and_field() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    source = "".join(
        path.read_text(encoding="utf-8") for path in (DOCUMENT.parents[1] / "kraken_fleet" / "plan").glob("*.py")
    )
    words = {kind.kind for kind in ACTION_TYPES} | set(json.loads(plan_to_json(make_plan(WANTED, SERVER, now=NOW))))
    words |= {field.name for kind in (*ACTION_TYPES, Finding) for field in fields(kind)} | {SCHEMA}
    words |= set(re.findall(r'Finding\(\s*"(\w+)"', source)) | {"not_trusted", "discovered"}
    assert sorted(word for word in words if f"`{word}`" not in text) == []


def test_a_thousand_agents_behind_one_nat_are_one_short_finding() -> None:
    agents = tuple(Agent(n, f"a{n}", f"10.0.{n // 250}.{n % 250}", "192.0.2.1", True) for n in range(1, 1001))
    hosts = DesiredFleet(tuple(DesiredAgent(agent.name, agent.address) for agent in agents))
    found = make_plan(hosts, SERVER.with_agents(agents), now=NOW).findings
    (nat,) = [finding for finding in found if finding.kind == "nat"]
    assert nat.message.endswith(" and 995 more all connect from 192.0.2.1")
