"""What a plan says of jobs that nobody can take: for which group they wait, and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kraken_fleet.model import Agent, AgentsGroup, DesiredAgent, DesiredFleet, GroupRef, Job, JobState, ObservedFleet
from kraken_fleet.plan import AttestedTrust, Finding, PlanPolicy, Prune, make_plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL, GPU = GroupRef(1, "all"), GroupRef(2, "gpu")
AGENT = Agent(7, "a", "10.0.0.1", "10.0.0.1", True, groups=(ALL, GPU), last_seen=NOW)
JOBS = tuple(Job(number, "j", JobState.QUEUED, agents_group_name="gpu") for number in (1, 2))
GROUPS = (AgentsGroup(1, "all"), AgentsGroup(2, "gpu"))
WANTED = DesiredAgent("a", "10.0.0.1", frozenset({"gpu"}))


def _told(wanted: DesiredAgent, agent: Agent, policy: PlanPolicy | None = None) -> list[Finding]:
    observed = ObservedFleet((agent,), GROUPS, NOW, waiting_jobs=JOBS)
    plan = make_plan(DesiredFleet((wanted,)), observed, policy, now=NOW)
    return [finding for finding in plan.findings if finding.kind == "jobs_without_agents"]


def test_jobs_that_an_agent_may_take_are_no_finding() -> None:
    assert _told(WANTED, AGENT) == []


@pytest.mark.parametrize(
    ("wanted", "agent"),
    [
        (replace(WANTED, enabled=True), replace(AGENT, disabled=True)),
        (WANTED, replace(AGENT, groups=(ALL,))),
        (WANTED, replace(AGENT, authorized=False)),
        (WANTED, replace(AGENT, authorized=False, disabled=True, groups=())),
    ],
    ids=["enabled", "grouped", "let in", "let in and enabled"],
)
def test_a_plan_that_brings_the_group_an_agent_says_so(wanted: DesiredAgent, agent: Agent) -> None:
    (finding,) = _told(wanted, agent)
    assert finding.message == "2 jobs wait for the agents group gpu, which has no agent that may take jobs"
    assert finding.hint == "Apply this plan: it brings the group an agent"


def test_an_agent_on_trial_is_counted_as_coming_unless_it_stays_disabled() -> None:
    policy = PlanPolicy(trust=(AttestedTrust({AGENT.address: "secret"}),))
    new = replace(AGENT, authorized=False, groups=())
    assert "Apply this plan" in _told(WANTED, new, policy)[0].hint
    assert "Apply this plan" not in _told(replace(WANTED, enabled=False), new, policy)[0].hint


@pytest.mark.parametrize(
    ("wanted", "agent", "remedy"),
    [
        (WANTED, replace(AGENT, disabled=True), "Enable its agent again"),
        (replace(WANTED, groups=frozenset()), replace(AGENT, groups=(ALL,)), "Put a host of the inventory into"),
        (replace(WANTED, enabled=False), replace(AGENT, groups=(ALL,)), "Put a host of the inventory into"),
    ],
    ids=["its agent is disabled", "nobody is in it", "who comes is disabled"],
)
def test_otherwise_it_says_what_the_person_can_do(wanted: DesiredAgent, agent: Agent, remedy: str) -> None:
    (finding,) = _told(wanted, agent)
    assert finding.hint.startswith(remedy)
    assert finding.hint.endswith("or cancel the jobs")


def test_an_agent_that_the_plan_takes_out_of_work_is_not_counted_as_coming() -> None:
    other = replace(AGENT, id=8, address="10.0.0.2")
    observed = ObservedFleet((replace(AGENT, disabled=True), replace(other, disabled=True)), GROUPS, NOW)
    policy = PlanPolicy(prune=Prune.UNAUTHORIZE, max_prune=100)
    plan = make_plan(DesiredFleet((WANTED,)), replace(observed, waiting_jobs=JOBS), policy, now=NOW)
    (hint,) = [finding.hint for finding in plan.findings if finding.kind == "jobs_without_agents"]
    assert hint.startswith("Enable one of its 2 agents again")
