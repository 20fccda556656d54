"""Which jobs wait, and which of them for an agents group that has nobody to do them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kraken_fleet.model import Deployment, DesiredAgent, DesiredFleet, Job, JobState
from kraken_fleet.plan import Plan, make_plan
from kraken_fleet.reconcile import observe, with_waiting_jobs
from kraken_fleet.reconcile.waiting_jobs import stranded_jobs, waiting_jobs
from tests.contract.hand_agents import ECHO, HandAgents
from tests.contract.workflow import Workflow
from tests.waiting import eventually


def _of(workflow: Workflow, jobs: tuple[Job, ...]) -> list[Job]:
    return [job for job in jobs if job.agents_group_name == workflow.group]


def _busy_with_another_waiting(hand_agents: HandAgents, workflow: Workflow) -> int:
    """The agent has one job; the id of the second, which waits for it."""
    workflow.run([ECHO])
    workflow.take_job()
    path = f"/runs/{workflow.run([ECHO])}/jobs"
    return int(eventually(lambda: hand_agents.server.api("GET", path).body["items"], bool)[0]["id"])


def test_a_job_waits_while_the_only_agent_of_its_group_is_busy_and_is_not_stranded(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    second = _busy_with_another_waiting(hand_agents, workflow)
    assert [job.id for job in _of(workflow, waiting_jobs(hand_agents.client))] == [second]
    assert _of(workflow, stranded_jobs(hand_agents.client)) == []


@pytest.mark.parametrize("way", ["disabled", "taken out", "unauthorized"])
def test_a_waiting_job_is_stranded_once_its_group_has_no_agent_left(
    hand_agents: HandAgents, workflow: Workflow, way: str
) -> None:
    second = _busy_with_another_waiting(hand_agents, workflow)
    if way == "disabled":
        hand_agents.client.disable_agent(workflow.agent_id)
    elif way == "taken out":
        hand_agents.client.set_agent_groups(workflow.agent_id, {1})
    else:
        hand_agents.client.set_authorized([workflow.agent_id], False)
    assert second in [job.id for job in _of(workflow, stranded_jobs(hand_agents.client))]


def test_a_plan_tells_of_the_group_and_its_jobs_and_is_no_change(hand_agents: HandAgents, workflow: Workflow) -> None:
    _busy_with_another_waiting(hand_agents, workflow)
    fleet = DesiredFleet((DesiredAgent("a", workflow.address, frozenset({workflow.group})),), complete=False)

    def plan() -> Plan:
        return make_plan(
            fleet, with_waiting_jobs(hand_agents.client, observe(hand_agents.client)), now=datetime.now(UTC)
        )

    assert [finding for finding in plan().findings if finding.kind == "jobs_without_agents"] == []
    hand_agents.client.disable_agent(workflow.agent_id)
    (finding,) = [finding for finding in plan().findings if finding.kind == "jobs_without_agents"]
    assert finding.subject == workflow.group
    assert finding.message.startswith("1 job waits for the agents group")
    assert finding.hint.startswith("Enable its agent again")
    assert not [action for action in plan().actions if workflow.group in action.describe()]


def test_a_job_for_a_group_that_is_empty_from_the_start_has_ended_and_does_not_wait(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    hand_agents.client.set_agent_groups(workflow.agent_id, {1})
    path = f"/runs/{workflow.run([ECHO])}/jobs"
    (job,) = eventually(lambda: hand_agents.server.api("GET", path).body["items"], bool)
    assert job["notes"] == f"there are no agents in group '{workflow.group}' - add some agents"
    assert _of(workflow, waiting_jobs(hand_agents.client)) == []


def test_a_job_for_a_group_whose_agents_kraken_makes_waits_and_is_not_stranded(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    client = hand_agents.client
    client.set_agent_groups(workflow.agent_id, {1})
    group = next(group for group in client.groups() if group.name == workflow.group)
    client.set_deployment(group.id, Deployment.of("kubernetes", {"instances_limit": 0}))
    try:
        path = f"/runs/{workflow.run([ECHO])}/jobs"
        (job,) = eventually(lambda: hand_agents.server.api("GET", path).body["items"], bool)
        assert (job["state"], job["notes"]) == (JobState.QUEUED, None)
        assert [one.id for one in _of(workflow, waiting_jobs(client))] == [job["id"]]
        assert _of(workflow, stranded_jobs(client)) == []
    finally:
        client.set_deployment(group.id, Deployment())
