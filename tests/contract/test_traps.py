"""What a server accepts and then breaks on: the library cannot be led into it, and heals a server that somebody was."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import UnsafeChangeError
from kraken_fleet.model import AgentsGroup, DesiredAgent
from kraken_fleet.plan import CreateGroup, RenameGroup
from tests.contract.hand_agents import (
    ECHO,
    HandAgents,
    assert_gets_its_jobs,
    client_of,
    plan_of,
    why_without_jobs,
)
from tests.contract.kraken_server import KrakenServer
from tests.contract.workflow import Workflow
from tests.unique_names import unique_name


def _join(hand_agents: HandAgents, workflow: Workflow, group_id: int) -> None:
    hand_agents.client.set_agent_groups(workflow.agent_id, {1, group_id})


def _raw_twice(server: KrakenServer) -> tuple[int, int, str]:
    """What trap 1 is: a group deleted and its name created again. The ids of both, and the name."""
    old, name = server.group()
    server.api("DELETE", f"/groups/{old}")
    return old, server.group(name)[0], name


def _wanted(workflow: Workflow, *groups: str) -> DesiredAgent:
    return DesiredAgent("host", workflow.address, frozenset(groups))


# 1. A group deleted, and its name created again.


def _group_that_others_deleted(hand_agents: HandAgents) -> tuple[int, str]:
    old, name = hand_agents.server.group()
    hand_agents.server.api("DELETE", f"/groups/{old}")
    return old, name


def test_a_group_created_again_through_the_library_gets_its_jobs(hand_agents: HandAgents, workflow: Workflow) -> None:
    name = unique_name()
    for _ in range(2):
        hand_agents.client.delete_group(hand_agents.client.create_group(name).id)
    _join(hand_agents, workflow, hand_agents.client.create_group(name).id)
    assert_gets_its_jobs(workflow, name)


def test_creating_the_name_of_a_group_that_others_deleted_gets_its_jobs(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    old, name = _group_that_others_deleted(hand_agents)
    _join(hand_agents, workflow, hand_agents.client.create_group(name).id)
    assert_gets_its_jobs(workflow, name)
    assert hand_agents.client.group(old).name == f"{name}-deleted-{old}"


def test_creating_several_names_at_once_frees_those_of_groups_that_others_deleted(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    old, name = _group_that_others_deleted(hand_agents)
    made = dict(hand_agents.client.create_groups([name, unique_name(), unique_name()]))
    assert all(isinstance(group, AgentsGroup) for group in made.values())
    _join(hand_agents, workflow, made[name].id)  # type: ignore[union-attr]
    assert_gets_its_jobs(workflow, name)
    assert hand_agents.client.group(old).name == f"{name}-deleted-{old}"


def test_a_name_that_others_used_twice_is_healed_by_a_reconciliation(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    old, new, name = _raw_twice(hand_agents.server)
    assert "Multiple rows were found" in why_without_jobs(workflow, name)
    plan = plan_of(hand_agents.reconcile(_wanted(workflow, name)))
    healed = f"{name}-deleted-{old}"
    renames = [(one.group_id, one.deleted, one.new_name) for one in plan.of(RenameGroup) if one.name == name]
    # Each reconciliation heals all names: one of another test, on the same server, may have come first.
    assert renames in ([(old, True, healed)], [])
    assert hand_agents.client.group(old).name == healed
    assert new in {group["id"] for group in hand_agents.record(workflow.agent_id)["groups"]}
    assert_gets_its_jobs(workflow, name)
    again = plan_of(hand_agents.reconcile(_wanted(workflow, name)))
    assert not [action for action in again.actions if name in action.describe()]


def test_a_plan_names_a_group_called_as_a_deleted_one_even_if_unused(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    old, _, name = _raw_twice(hand_agents.server)
    plan = plan_of(hand_agents.reconcile(_wanted(workflow), dry_run=True))
    named = old in {action.group_id for action in plan.of(RenameGroup)}
    assert named or hand_agents.client.group(old).name == f"{name}-deleted-{old}", "healed by another test's"
    hand_agents.client.heal_group_name(name)
    assert hand_agents.client.group(old).name != name


def test_a_group_that_others_deleted_is_made_again_by_a_reconciliation(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    name = unique_name()
    hand_agents.reconcile(_wanted(workflow, name))
    old = {group.name: group.id for group in hand_agents.client.groups()}[name]
    hand_agents.server.api("DELETE", f"/groups/{old}")
    plan = plan_of(hand_agents.reconcile(_wanted(workflow, name)))
    assert [action.name for action in plan.of(CreateGroup)] == [name]
    assert_gets_its_jobs(workflow, name)


def test_a_deleted_group_newer_than_every_living_one_is_found(hand_agents: HandAgents, workflow: Workflow) -> None:
    living, name = hand_agents.server.group()
    newest, _ = hand_agents.server.group()
    hand_agents.server.api("PUT", f"/groups/{newest}", {"name": name})
    hand_agents.server.api("DELETE", f"/groups/{newest}")
    hand_agents.reconcile(_wanted(workflow, name))
    assert living in {group["id"] for group in hand_agents.record(workflow.agent_id)["groups"]}
    assert_gets_its_jobs(workflow, name)


def test_two_controllers_that_make_the_same_group_at_once_end_with_one(
    hand_agents: HandAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, post = threading.Barrier(2), KrakenClient._post_group

    def post_together(client: KrakenClient, name: str, project_id: int | None) -> AgentsGroup:
        both.wait(60)
        return post(client, name, project_id)

    def made(client: KrakenClient, name: str) -> int:
        ((_, group),) = client.create_groups([name])
        assert isinstance(group, AgentsGroup), group
        return group.id

    monkeypatch.setattr(KrakenClient, "_post_group", post_together)
    names = [unique_name() for _ in range(10)]  # without care the real server makes two of some of them
    with client_of(hand_agents.server) as other, ThreadPoolExecutor() as pool:
        for name in names:
            first, second = pool.map(made, (hand_agents.client, other), (name, name))
            assert first == second
    living = [group.name for group in hand_agents.client.groups()]
    assert [living.count(name) for name in names] == [1] * len(names)


# 2. A group renamed to a taken name.


def test_renaming_to_a_taken_name_is_refused_and_both_groups_stay(hand_agents: HandAgents, workflow: Workflow) -> None:
    first, taken = hand_agents.server.group()
    second, own = hand_agents.server.group()
    with pytest.raises(UnsafeChangeError, match="Another agents group is called"):
        hand_agents.client.rename_group(second, taken)
    assert [hand_agents.client.group(each).name for each in (first, second)] == [taken, own]
    _join(hand_agents, workflow, first)
    assert_gets_its_jobs(workflow, taken)


def test_a_renamed_group_gets_its_jobs_also_under_the_name_of_a_deleted_one(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    _, name = _group_that_others_deleted(hand_agents)
    group_id, _ = hand_agents.server.group()
    assert hand_agents.client.rename_group(group_id, name).name == name
    _join(hand_agents, workflow, group_id)
    assert_gets_its_jobs(workflow, name)


def test_two_living_groups_of_one_name_are_told_apart_by_a_reconciliation(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    first, name = hand_agents.server.group()
    _join(hand_agents, workflow, first)
    second, _ = hand_agents.server.group()
    hand_agents.server.api("PUT", f"/groups/{second}", {"name": name})
    assert hand_agents.server.api("POST", "/groups", {"name": name}).status == 500
    hand_agents.reconcile(_wanted(workflow, name))
    assert hand_agents.client.group(second).name == f"{name}-duplicate-{second}"
    assert_gets_its_jobs(workflow, name)


# 3. Many agents deleted at once.


@pytest.mark.timeout(480)  # on a busy machine the server's queue takes ten seconds for each piece of work
def test_a_job_is_completed_while_two_clients_delete_agents(hand_agents: HandAgents, workflow: Workflow) -> None:
    doomed = [hand_agents.announce()[0] for _ in range(4)]
    workflow.run([ECHO])
    job = workflow.take_job()
    with client_of(hand_agents.server) as other, ThreadPoolExecutor() as pool:
        halves = ((hand_agents.client, doomed[:2]), (other, doomed[2:]))
        deletions = [pool.submit(list, client.delete_agents(ids)) for client, ids in halves]
        workflow.report(job, 0, status="done", duration=1)
        assert workflow.tell("get-job-step")["job_step"] == {"finish": True}
        assert [number for deletion in deletions for number in deletion.result()] == doomed
    assert all(hand_agents.record(agent_id)["deleted"] for agent_id in doomed)
    deadline = time.monotonic() + 120  # what other tests have left in the queue comes first
    while workflow.job(job["id"])["completion_status"] is None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert workflow.job(job["id"])["completion_status"] == 0
    if hand_agents.server.kind == "real":
        assert _most_at_once(hand_agents.server, doomed) <= 2, "more than one deletion of a client was in the queue"


def _most_at_once(server: KrakenServer, ids: list[int]) -> int:
    """How many of these agents' deletions were in the server's queue at the same time, by its own times."""
    queue = server.api("GET", "/diagnostics").body["rq"]
    calls = {f"kraken.server.bg.jobs.destroy_machine({number})" for number in ids}
    jobs = [job for name in ("finished_jobs", "current_jobs") for job in queue[name] if job["description"] in calls]
    assert len(jobs) >= len(ids) - 2, "only the last one of each client may still wait, and is in no list then"
    begun = [job["enqueued_at"] for job in jobs]
    return max(int(sum(job["enqueued_at"] <= at < (job["ended_at"] or "9") for job in jobs)) for at in begun)


# 4. A group deleted that still has agents.


@pytest.mark.parametrize("authorized", [True, False])
def test_a_group_with_agents_is_not_deleted_unless_told_and_then_emptied_first(
    hand_agents: HandAgents, workflow: Workflow, *, authorized: bool
) -> None:
    group_id, name = hand_agents.server.group()
    agent_id, _ = hand_agents.announce(authorized=authorized)
    hand_agents.client.set_agent_groups(agent_id, {1, group_id})
    with pytest.raises(UnsafeChangeError, match=r"has agents \(1\)"):
        hand_agents.client.delete_group(group_id)
    assert hand_agents.client.group(group_id).deleted is None
    hand_agents.client.delete_group(group_id, force=True)
    assert hand_agents.groups_of(agent_id) == {"all"}
    _join(hand_agents, workflow, hand_agents.client.create_group(name).id)
    assert_gets_its_jobs(workflow, name)


def test_an_agent_that_lists_a_group_deleted_under_it_is_put_into_the_new_one(
    hand_agents: HandAgents, workflow: Workflow
) -> None:
    hand_agents.server.api("DELETE", f"/groups/{workflow.group_id}")
    plan = plan_of(hand_agents.reconcile(_wanted(workflow, workflow.group)))
    assert [action.name for action in plan.of(CreateGroup)] == [workflow.group]
    ids = [group["id"] for group in hand_agents.record(workflow.agent_id)["groups"] if group["name"] == workflow.group]
    assert len(ids) == 1
    assert ids != [workflow.group_id]
    assert_gets_its_jobs(workflow, workflow.group)
