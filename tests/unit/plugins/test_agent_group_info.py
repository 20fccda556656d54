"""The module agent_group_info: members, and jobs that nobody can take."""

from __future__ import annotations

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Owner, OwnGroup
from tests.stages import shell_job, stage_code
from tests.unit.plugins.task_runs import Stage

ONE, TWO, THREE = "127.0.7.1", "127.0.7.2", "127.0.7.3"


def let_a_job_wait(client: KrakenClient) -> None:
    """A job for a system that no agent of the group has."""
    branch = client.create_branch(client.create_project("p").id, "main")
    job = shell_job("gpu", "true", name="train", system="fedora-40")
    client.create_stage(branch.id, "s", stage_code(job))
    client.start_flow(branch.id)


def test_members_and_waiting_jobs_are_told(stage: Stage) -> None:
    stage.join(ONE, "gpu")
    stage.join(TWO, "gpu")
    stage.join(THREE, "other")
    with stage.client as client:
        let_a_job_wait(client)
    everything, again, chosen = stage.play(
        {"kraken_ci.fleet.agent_group_info": {}},
        {"kraken_ci.fleet.agent_group_info": {}},
        {"kraken_ci.fleet.agent_group_info": {"groups": ["gpu", "nosuch"], "waiting_jobs": False}},
    )
    assert not any(result["changed"] for result in (everything, again, chosen))
    assert everything["groups"] == again["groups"]
    groups = {group["name"]: group for group in everything["groups"]}
    assert [one["address"] for one in groups["gpu"]["agents"]] == [ONE, TWO]
    assert groups["gpu"]["agents_count"] == 2
    assert groups["other"]["waiting_jobs"] == []
    (job,) = groups["gpu"]["waiting_jobs"]
    assert (job["name"], job["system"], job["executor"]) == ("train", "fedora-40", "local")
    assert job["created"]
    assert [group["name"] for group in chosen["groups"]] == ["gpu"]
    assert chosen["missing"] == ["nosuch"]


def test_check_mode_looks_as_well(stage: Stage) -> None:
    (found,) = stage.play({"kraken_ci.fleet.agent_group_info": {}}, check=True)
    assert "all" in {group["name"] for group in found["groups"]}


def test_groups_of_proofs_and_upgrades_are_in_no_answer(stage: Stage) -> None:
    owner = Owner("0a", 17, 4)
    own = [OwnGroup("proof", owner, 1, 0).name, OwnGroup("upgrade", owner, 1).name, "kraken-fleet-verify-1"]
    stage.join(ONE, "gpu", *own)
    groups, agents = stage.play({"kraken_ci.fleet.agent_group_info": {}}, {"kraken_ci.fleet.agent_info": {}})
    assert {group["name"] for group in groups["groups"]} == {"all", "gpu"}
    assert [agent["groups"] for agent in agents["agents"]] == [["all", "gpu"]]
