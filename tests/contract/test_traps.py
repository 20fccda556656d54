"""What a server accepts and then breaks on: the library cannot be led into it, and heals a server that somebody was."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from contract.conftest import _door
from contract.crew import ECHO, Crew, assert_gets_its_jobs, client_of, plan_of, random_name, why_without_jobs
from contract.door import Door
from contract.embedded import Embedded
from contract.workflow import Workflow

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError, ServerFaultError, UnsafeChangeError
from kraken_fleet.model import AgentsGroup, DesiredAgent, DesiredFleet
from kraken_fleet.plan import CreateGroup, RenameGroup
from kraken_fleet.reconcile import reconcile


@pytest.fixture
def workflow(crew: Crew) -> Workflow:
    """A branch to start runs in, and an agent to do their jobs."""
    return crew.workflow()


def _join(crew: Crew, workflow: Workflow, group_id: int) -> None:
    crew.client.set_agent_groups(workflow.agent_id, {1, group_id})


def _raw_twice(server: Door) -> tuple[int, int, str]:
    """What trap 1 is: a group deleted and its name created again. The ids of both, and the name."""
    old, name = server.group()
    server.api("DELETE", f"/groups/{old}")
    return old, server.group(name)[0], name


def _wanted(workflow: Workflow, *groups: str) -> DesiredAgent:
    return DesiredAgent("host", workflow.address, frozenset(groups))


# 1. A group deleted, and its name created again.


def test_a_group_created_again_through_the_library_gets_its_jobs(crew: Crew, workflow: Workflow) -> None:
    name = random_name()
    for _ in range(2):
        crew.client.delete_group(crew.client.create_group(name).id)
    _join(crew, workflow, crew.client.create_group(name).id)
    assert_gets_its_jobs(workflow, name)


def test_creating_the_name_of_a_group_that_others_deleted_gets_its_jobs(crew: Crew, workflow: Workflow) -> None:
    old, name = crew.server.group()
    crew.server.api("DELETE", f"/groups/{old}")
    _join(crew, workflow, crew.client.create_group(name).id)
    assert_gets_its_jobs(workflow, name)
    assert crew.client.group(old).name == f"{name}-deleted-{old}"


def test_creating_several_names_at_once_frees_those_of_groups_that_others_deleted(
    crew: Crew, workflow: Workflow
) -> None:
    old, name = crew.server.group()
    crew.server.api("DELETE", f"/groups/{old}")
    made = dict(crew.client.create_groups([name, random_name(), random_name()]))
    assert all(isinstance(group, AgentsGroup) for group in made.values())
    _join(crew, workflow, made[name].id)  # type: ignore[union-attr]
    assert_gets_its_jobs(workflow, name)
    assert crew.client.group(old).name == f"{name}-deleted-{old}"


def test_a_name_that_others_used_twice_breaks_its_runs_until_a_reconciliation_heals_it(
    crew: Crew, workflow: Workflow
) -> None:
    old, new, name = _raw_twice(crew.server)
    assert "Multiple rows were found" in why_without_jobs(workflow, name)
    plan = plan_of(crew.reconcile(_wanted(workflow, name)))
    (rename,) = [action for action in plan.of(RenameGroup) if action.name == name]
    assert (rename.group_id, rename.deleted, rename.new_name) == (old, True, f"{name}-deleted-{old}")
    assert new in {group["id"] for group in crew.record(workflow.agent_id)["groups"]}
    assert_gets_its_jobs(workflow, name)
    again = plan_of(crew.reconcile(_wanted(workflow, name)))
    assert not [action for action in again.actions if name in action.describe()]


def test_a_plan_names_the_trap_that_others_sprang_even_when_the_inventory_does_not_use_the_group(
    crew: Crew, workflow: Workflow
) -> None:
    old, _, name = _raw_twice(crew.server)
    plan = plan_of(crew.reconcile(_wanted(workflow), dry_run=True))
    assert old in {action.group_id for action in plan.of(RenameGroup)}
    crew.client.heal_group_name(name)
    assert crew.client.group(old).name != name


def test_a_group_that_others_deleted_is_made_again_by_a_reconciliation(crew: Crew, workflow: Workflow) -> None:
    name = random_name()
    crew.reconcile(_wanted(workflow, name))
    old = {group.name: group.id for group in crew.client.groups()}[name]
    crew.server.api("DELETE", f"/groups/{old}")
    plan = plan_of(crew.reconcile(_wanted(workflow, name)))
    assert [action.name for action in plan.of(CreateGroup)] == [name]
    assert_gets_its_jobs(workflow, name)


def test_a_deleted_group_newer_than_every_living_one_is_found(crew: Crew, workflow: Workflow) -> None:
    living, name = crew.server.group()
    newest, _ = crew.server.group()
    crew.server.api("PUT", f"/groups/{newest}", {"name": name})
    crew.server.api("DELETE", f"/groups/{newest}")
    crew.reconcile(_wanted(workflow, name))
    assert living in {group["id"] for group in crew.record(workflow.agent_id)["groups"]}
    assert_gets_its_jobs(workflow, name)


def test_two_controllers_that_make_the_same_group_at_once_end_with_one(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
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
    names = [random_name() for _ in range(10)]  # without care the real server makes two of some of them
    with client_of(crew.server) as other, ThreadPoolExecutor() as pool:
        for name in names:
            first, second = pool.map(made, (crew.client, other), (name, name))
            assert first == second
    living = [group.name for group in crew.client.groups()]
    assert [living.count(name) for name in names] == [1] * len(names)


# 2. A group renamed to a taken name.


def test_renaming_to_a_taken_name_is_refused_and_both_groups_stay(crew: Crew, workflow: Workflow) -> None:
    first, taken = crew.server.group()
    second, own = crew.server.group()
    with pytest.raises(UnsafeChangeError, match="Another agents group is called"):
        crew.client.rename_group(second, taken)
    assert [crew.client.group(each).name for each in (first, second)] == [taken, own]
    _join(crew, workflow, first)
    assert_gets_its_jobs(workflow, taken)


def test_a_renamed_group_gets_its_jobs_also_under_the_name_of_a_deleted_one(crew: Crew, workflow: Workflow) -> None:
    old, name = crew.server.group()
    crew.server.api("DELETE", f"/groups/{old}")
    group_id, _ = crew.server.group()
    assert crew.client.rename_group(group_id, name).name == name
    _join(crew, workflow, group_id)
    assert_gets_its_jobs(workflow, name)


def test_two_living_groups_of_one_name_are_told_apart_by_a_reconciliation(crew: Crew, workflow: Workflow) -> None:
    first, name = crew.server.group()
    _join(crew, workflow, first)
    second, _ = crew.server.group()
    crew.server.api("PUT", f"/groups/{second}", {"name": name})
    assert crew.server.api("POST", "/groups", {"name": name}).status == 500
    crew.reconcile(_wanted(workflow, name))
    assert crew.client.group(second).name == f"{name}-duplicate-{second}"
    assert_gets_its_jobs(workflow, name)


# 3. `all` deleted.


@pytest.mark.parametrize("name", ["everyone", "all-2"])
def test_the_group_all_is_neither_deleted_nor_renamed(crew: Crew, workflow: Workflow, name: str) -> None:
    with pytest.raises(UnsafeChangeError, match="Will not delete"):
        crew.client.delete_group(1, force=True)
    with pytest.raises(UnsafeChangeError, match="Will not rename"):
        crew.client.rename_group(1, name)
    assert (crew.client.group(1).name, crew.client.group(1).deleted) == ("all", None)
    assert_gets_its_jobs(workflow, "all" if crew.server.kind == "embedded" else workflow.group)


def test_no_second_group_is_called_all(crew: Crew) -> None:
    group_id, _ = crew.server.group()
    with pytest.raises(UnsafeChangeError, match="Another agents group is called 'all'"):
        crew.client.rename_group(group_id, "all")
    with pytest.raises(RequestRejectedError, match="already exists"):
        crew.client.create_group("all")
    agent_id, _ = crew.announce()
    crew.client.set_authorized([agent_id])
    assert crew.groups_of(agent_id) == {"all"}


def test_an_exact_reconciliation_leaves_an_agent_in_all(crew: Crew, workflow: Workflow) -> None:
    crew.reconcile(DesiredAgent("host", workflow.address, groups_mode="exact"))
    assert crew.groups_of(workflow.agent_id) == {"all"}


@pytest.fixture
def spoilt(tmp_path: Path) -> Door:
    """An embedded server of the test's own, to be broken."""
    with Embedded.started(tmp_path) as mine:
        yield _door("embedded", mine.url, "admin", mine.password, mine.plain_user, mine.plain_password)


def test_a_server_whose_all_was_deleted_and_made_again_is_healed(spoilt: Door) -> None:
    spoilt.api("DELETE", "/groups/1")
    spoilt.api("POST", "/groups", {"name": "all"})
    _heals_all(spoilt)


def test_a_server_with_a_second_group_renamed_to_all_is_healed(spoilt: Door) -> None:
    group_id, _ = spoilt.group()
    spoilt.api("PUT", f"/groups/{group_id}", {"name": "all"})
    _heals_all(spoilt)
    assert spoilt.api("GET", "/groups/1").body["name"] == "all"


def _heals_all(server: Door) -> None:
    agent_id, address = server.announce()
    fleet = DesiredFleet((DesiredAgent("host", address, frozenset({"linux"})),))
    with client_of(server) as client:
        with pytest.raises(ServerFaultError) as caught:
            client.set_authorized([agent_id])
        assert "`all` exists twice" in str(caught.value.hint)
        list(reconcile(client, fleet))
        assert {ref.name for ref in client.agent(agent_id).groups} == {"all", "linux"}
        assert not plan_of(list(reconcile(client, fleet))).changes


# 4. Many agents deleted at once.


@pytest.mark.timeout(480)  # on a busy machine the server's queue takes ten seconds for each piece of work
def test_a_job_is_completed_while_two_clients_delete_agents(crew: Crew, workflow: Workflow) -> None:
    doomed = [crew.announce()[0] for _ in range(4)]
    workflow.run([ECHO])
    job = workflow.take_job()
    with client_of(crew.server) as other, ThreadPoolExecutor() as pool:
        halves = zip((crew.client, other), (doomed[:2], doomed[2:]), strict=True)
        deletions = [pool.submit(lambda one, ids: list(one.delete_agents(ids)), *half) for half in halves]
        workflow.report(job, 0, status="done", duration=1)
        assert workflow.tell("get-job-step")["job_step"] == {"finish": True}
        assert [number for deletion in deletions for number in deletion.result()] == doomed
    assert all(crew.record(agent_id)["deleted"] for agent_id in doomed)
    deadline = time.monotonic() + 120  # what other tests have left in the queue comes first
    while workflow.job(job["id"])["completion_status"] is None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert workflow.job(job["id"])["completion_status"] == 0
    if crew.server.kind == "real":
        assert _most_at_once(crew.server, doomed) <= 2, "more than one deletion of a client was in the queue"


def _most_at_once(server: Door, ids: list[int]) -> int:
    """How many of these agents' deletions were in the server's queue at the same time, by its own times."""
    queue = server.api("GET", "/diagnostics").body["rq"]
    calls = {f"kraken.server.bg.jobs.destroy_machine({number})" for number in ids}
    jobs = [job for name in ("finished_jobs", "current_jobs") for job in queue[name] if job["description"] in calls]
    assert len(jobs) >= len(ids) - 2, "only the last one of each client may still wait, and is in no list then"
    begun = [job["enqueued_at"] for job in jobs]
    return max(sum(job["enqueued_at"] <= at < (job["ended_at"] or "9") for job in jobs) for at in begun)


# 5. A group deleted that still has agents.


@pytest.mark.parametrize("authorized", [True, False])
def test_a_group_with_agents_is_not_deleted_unless_told_and_then_emptied_first(
    crew: Crew, workflow: Workflow, *, authorized: bool
) -> None:
    group_id, name = crew.server.group()
    agent_id, _ = crew.announce(authorized=authorized)
    crew.client.set_agent_groups(agent_id, {1, group_id})
    with pytest.raises(UnsafeChangeError, match=r"has agents \(1\)"):
        crew.client.delete_group(group_id)
    assert crew.client.group(group_id).deleted is None
    crew.client.delete_group(group_id, force=True)
    assert crew.groups_of(agent_id) == {"all"}
    _join(crew, workflow, crew.client.create_group(name).id)
    assert_gets_its_jobs(workflow, name)


def test_an_agent_that_lists_a_group_deleted_under_it_is_put_into_the_new_one(crew: Crew, workflow: Workflow) -> None:
    crew.server.api("DELETE", f"/groups/{workflow.group_id}")
    plan = plan_of(crew.reconcile(_wanted(workflow, workflow.group)))
    assert [action.name for action in plan.of(CreateGroup)] == [workflow.group]
    ids = [group["id"] for group in crew.record(workflow.agent_id)["groups"] if group["name"] == workflow.group]
    assert len(ids) == 1
    assert ids != [workflow.group_id]
    assert_gets_its_jobs(workflow, workflow.group)
