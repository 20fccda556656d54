"""How many calls it costs to find the jobs that wait."""

from __future__ import annotations

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import ServerFaultError
from kraken_fleet.model import Branch
from kraken_fleet.plan import make_plan
from kraken_fleet.reconcile import observe, with_waiting_jobs
from kraken_fleet.reconcile.waiting_jobs import find_waiting_jobs
from tests.unit.reconcile.lab import Lab, fleet

A = "127.0.0.21"


@pytest.fixture
def waiting(lab: Lab) -> Lab:
    """A job waits for the group gpu, whose agent has one job and is disabled."""
    lab.speak(A)
    group = lab.client.create_group("gpu")
    lab.client.set_authorized([lab.agent(A).id])
    lab.client.set_agent_groups(lab.agent(A).id, [1, group.id])
    lab.start_job()
    lab.speak(A)
    (branch,) = [branch for branch in _branches(lab) if branch.name == "b"]
    lab.client.start_flow(branch.id)
    lab.client.disable_agent(lab.agent(A).id)
    return lab


def _branches(lab: Lab) -> list[Branch]:
    return [branch for project in lab.client.projects() for branch in project.branches]


def _calls(lab: Lab) -> int:
    observed = observe(lab.client)
    lab.requests.clear()
    found = with_waiting_jobs(lab.client, observed)
    assert [job.agents_group_name for job in found.waiting_jobs] == ["gpu"]
    assert found.all_jobs_seen
    return len(lab.requests)


def test_the_number_of_calls_does_not_grow_with_agents(waiting: Lab) -> None:
    few = _calls(waiting)
    for number in range(1, 41):
        waiting.speak(f"127.0.2.{number}")
    assert _calls(waiting) == few
    assert few == 1 + 2 * len(_branches(waiting)) + 1, "projects, flows of both kinds, the run with the job that waits"


def test_no_more_calls_are_made_than_allowed_and_it_is_said(waiting: Lab) -> None:
    project = waiting.client.projects()[0]
    for number in range(20):
        waiting.client.create_branch(project.id, f"more-{number}")
    waiting.requests.clear()
    assert not find_waiting_jobs(waiting.client, 10).complete
    assert len(waiting.requests) <= 10
    assert find_waiting_jobs(waiting.client, 100).complete


def test_a_server_that_cannot_tell_of_jobs_is_planned_for_all_the_same(
    waiting: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_client: KrakenClient) -> None:
        raise ServerFaultError("it broke")

    monkeypatch.setattr(KrakenClient, "projects", broken)
    observed = with_waiting_jobs(waiting.client, observe(waiting.client))
    # As of when the agent was last seen: on a busy machine it would be silent by now.
    last_seen = waiting.agent(A).last_seen
    assert last_seen is not None
    plan = make_plan(fleet(("a", A, "gpu")), observed, now=last_seen)
    assert [finding.kind for finding in plan.findings] == ["disabled", "jobs_not_all_seen"]
