"""What `plan` tells besides the changes: its findings, and how they end it."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from kraken_fleet.api import KrakenClient
from tests.stages import shell_job, stage_code
from tests.unit.cli.planned_fleet import INVENTORY, Run


def test_plan_tells_which_group_jobs_wait_for_in_vain_and_exits_as_before(
    client: KrakenClient, inventory: str, run: Run
) -> None:
    run("apply", "-i", inventory, "--limit", "build-1")
    (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
    branch = client.create_branch(client.create_project("p").id, "b")
    client.create_stage(branch.id, "s", stage_code(shell_job("linux", "true", name="compile")))
    for _ in range(2):  # the agent takes the first job only, and holds it
        client.start_flow(branch.id)
        requests.post(f"{client.url}/backend", json={"address": agent.address, "msg": "get-job"}, timeout=60)
    client.disable_agent(agent.id)
    code, out, _ = run("plan", "-i", inventory, "--limit", "build-1")
    assert code == 0
    assert "1 job waits for the agents group linux, which has no agent that may take jobs. Enable its agent" in out
    assert "No changes" in out
    code, out, _ = run("plan", "-i", inventory, "--json")
    told = [found for found in json.loads(out)["data"]["findings"] if found["kind"] == "jobs_without_agents"]
    assert code == 2
    assert [(found["subject"], found["hint"]) for found in told] == [
        ("linux", "Apply this plan: it brings the group an agent")
    ]


def test_findings_can_end_a_plan_with_a_code_of_their_own(client: KrakenClient, inventory: str, run: Run) -> None:
    everybody = ("-i", inventory, "--limit", "build-1,build-2")
    run("apply", *everybody)
    assert run("plan", *everybody, "--fail-on", "warning")[0] == 0
    assert run("plan", *everybody, "--fail-on", "finding")[0] == 4, (
        "they connect from another address, which is only told"
    )
    (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
    client.disable_agent(agent.id)
    code, out, _ = run("plan", *everybody)
    assert code == 0
    assert "build-1: 127.0.0.21 is disabled: it gets no jobs" in out
    assert "No changes, but 1 finding that somebody should look at" in out
    assert run("plan", *everybody, "--fail-on", "warning")[0] == 4
    assert run("plan", "-i", inventory, "--fail-on", "warning")[0] == 4, "one host was never seen"
    Path(inventory).write_text(INVENTORY.replace("127.0.0.21}", "127.0.0.21, kraken_agent_enabled: false}"))
    assert run("plan", *everybody, "--fail-on", "warning")[0] == 0, "it is meant"


def test_a_peer_that_changed_is_told_until_it_is_accepted(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    run("apply", "-i", inventory)
    run("plan", "-i", inventory)
    (file,) = (tmp_path / "state" / "peers").iterdir()
    assert json.loads(file.read_text())["server"] == client.url

    def changed(*arguments: str) -> list[dict[str, str]]:
        _, out, _ = run("plan", "-i", inventory, "--json", *arguments)
        return [finding for finding in json.loads(out)["data"]["findings"] if finding["kind"] == "peer_changed"]

    assert changed() == []
    peers = json.loads(file.read_text())
    now = peers["peers"]["127.0.0.21"]
    peers["peers"]["127.0.0.21"] = "192.0.2.9"
    file.write_text(json.dumps(peers))
    (finding,) = changed()
    assert finding["subject"] == "build-1"
    assert finding["message"] == f"127.0.0.21 connected from 192.0.2.9, and connects from {now} now"
    assert "--accept-peers" in finding["hint"]
    planned = json.loads(run("reconcile", "-i", inventory, "--json")[1].splitlines()[0])
    assert "peer_changed" in json.dumps(planned), "reconcile tells of it too"
    assert changed("--accept-peers") == []
    assert changed() == []
