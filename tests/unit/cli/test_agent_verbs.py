"""What operators do every day, against a real embedded server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.cli.main import main
from kraken_fleet.model import Agent, Owner, OwnGroup
from kraken_fleet.server.testing import RunningServer, running
from tests.unit.cli.planned_fleet import Ask
from tests.waiting import eventually

A, B = "127.0.0.21", "127.0.0.22"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KrakenClient]:
    """A server that the environment names, with two authorized agents, one of them in the group gpu."""
    with running(tmp_path / "server") as found, _client(found) as client:
        (tmp_path / "password").write_text(found.password + "\n")
        monkeypatch.setenv("KRAKEN_FLEET_SERVER", found.url)
        monkeypatch.setenv("KRAKEN_FLEET_USER", found.user)
        monkeypatch.setenv("KRAKEN_FLEET_PASSWORD_FILE", str(tmp_path / "password"))
        monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "state"))
        for address in (A, B):
            _speak(client, address)
        client.set_authorized([agent.id for agent in client.agents(unauthorized=True)])
        client.set_agent_groups(_agent(client, A).id, [1, client.create_group("gpu").id])
        yield client


def _client(server: RunningServer) -> KrakenClient:
    return KrakenClient(server.url, PasswordCredentials(server.user, server.password))


def _speak(client: KrakenClient, address: str) -> Any:
    message = {"address": address, "msg": "get-job"}
    answer = requests.post(f"{client.url}/backend", json=message, timeout=60)
    answer.raise_for_status()
    return answer.json()


def _agent(client: KrakenClient, address: str) -> Agent:
    both = (*client.agents(), *client.agents(unauthorized=True))
    return next(agent for agent in both if agent.address == address)


def test_agents_are_disabled_with_a_note_that_is_shown_and_enabled_again(
    client: KrakenClient, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    done = ask("agents", "disable", "gpu", "--note", "a new disk", "--until", "2h")
    assert done == [{"subject": A, "state": "disabled"}]
    said = _agent(client, A).disabling
    assert said
    assert (said.by, said.note) == ("admin", "a new disk")
    assert said.until
    assert 7100 < (said.until - said.since).total_seconds() <= 7200
    assert main(["agents", "list"]) == 0
    shown = capsys.readouterr().out
    assert "by admin since" in shown
    assert "a new disk" in shown
    assert ask("agents", "show", A)["disabling"]["note"] == "a new disk"
    assert ask("agents", "enable", "--due") == []
    assert ask("agents", "enable", "all") == [{"subject": A, "state": "enabled"}, {"subject": B, "state": "enabled"}]
    assert [agent.disabled for agent in client.agents()] == [False, False]
    assert [group.name for group in client.groups()] == ["all", "gpu"]


def test_agents_whose_time_is_over_are_enabled_by_due(client: KrakenClient, ask: Ask) -> None:
    ask("agents", "drain", A, "--until", "1s", "--wait", "30")
    while not (due := ask("agents", "enable", "--due")):
        pass
    assert due == [{"subject": A, "state": "enabled"}]
    assert _agent(client, A).enabled


def test_hosts_are_named_as_in_the_inventory(
    client: KrakenClient, ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hosts.yml").write_text(
        "kraken_agents: {hosts: {build-1.example.com: {kraken_agent_address: 127.0.0.21}}}\n"
    )
    inventory = ["-i", str(tmp_path / "hosts.yml")]
    assert ask("agents", "disable", "build-*", *inventory) == [
        {"subject": f"build-1.example.com ({A})", "state": "disabled"}
    ]
    assert [agent.disabled for agent in client.agents()] == [True, False]
    listed = {agent["address"]: agent["host"] for agent in ask("agents", "list", *inventory)}
    assert listed == {A: "build-1.example.com", B: None}
    assert ask("agents", "enable", *inventory, "-l", "build-1*")[0]["state"] == "enabled"
    assert main(["agents", "list", *inventory]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["build-1.example.com", A] in rows
    assert ["-", B] in rows


def test_groups_of_proofs_and_upgrades_are_shown_nowhere(
    client: KrakenClient, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = Owner("0a", 17, 4)
    own = [client.create_group(OwnGroup(kind, owner, 1).name).id for kind in ("proof", "upgrade")]
    gpu = next(group.id for group in client.groups() if group.name == "gpu")
    client.set_agent_groups(_agent(client, A).id, [1, gpu, *own])
    assert {group["name"] for group in ask("groups", "list")} == {"all", "gpu"}
    listed = json.dumps([ask("agents", "list"), ask("agents", "show", A)])
    for command in (["groups", "list"], ["agents", "list"], ["agents", "show", A], ["jobs", "waiting"]):
        main(command)
        listed += capsys.readouterr().out
    assert "kraken-fleet-" not in listed
    # What people change leaves the agent in them, for those who made them to find it.
    assert ask("agents", "groups", A, "--remove", "gpu") == [{"subject": A, "state": "in all"}]
    assert {ref.id for ref in _agent(client, A).groups} == {1, *own}


def test_groups_of_agents_change_and_a_mistyped_group_is_refused(
    client: KrakenClient, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("agents", "groups", "all", "--add", "gpu")[1] == {"subject": B, "state": "in all, gpu"}
    assert ask("agents", "groups", A, "--remove", "gpu") == [{"subject": A, "state": "in all"}]
    assert main(["agents", "groups", A, "--add", "gpus"]) == 1
    assert "Did you mean gpu?" in capsys.readouterr().err
    assert main(["agents", "groups", A]) == 64
    assert {agent.address for agent in client.agents() if "gpu" in agent.group_names} == {B}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["disable"], 64, "No agent is named"),
        (["disable", "nobody"], 1, "no agent 'nobody'"),
        (["drain", A, "--until", "soon"], 64, "no moment"),
        (["drain", A, "--note", "n" * 201], 64, "more than 200"),
        (["delete", A], 64, "Give --yes"),
        (["disable", "-l", "x", A], 64, "no inventory"),
    ],
)
def test_what_is_wrong_changes_nothing(
    client: KrakenClient, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agents", *arguments]) == code
    assert message in capsys.readouterr().err
    assert [agent.disabled for agent in client.agents()] == [False, False]


def test_agents_are_deleted_without_asking_only_when_told_so(client: KrakenClient, ask: Ask) -> None:
    assert ask("agents", "delete", A, "--yes") == [{"subject": A, "state": "removed"}]
    assert [agent.address for agent in client.agents()] == [B]


def test_ignored_agents_are_neither_listed_nor_authorized_by_all(client: KrakenClient, ask: Ask) -> None:
    client.set_authorized([agent.id for agent in client.agents()], authorized=False)
    assert ask("discovered", "ignore", A) == {"ignored": [A]}
    assert [agent["address"] for agent in ask("discovered", "list")] == [B]
    assert [agent["address"] for agent in ask("discovered", "list", "--ignored")] == [A, B]
    assert ask("authorize", "--all")["authorized"] == [B]
    assert ask("discovered", "unignore", A) == {"unignored": [A]}
    assert ask("authorize", "--all")["authorized"] == [A]


def test_stranded_jobs_are_cancelled(client: KrakenClient, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    branch = client.create_branch(client.create_project("p").id, "b")
    job = {"name": "j", "steps": [{"tool": "shell", "cmd": "true"}]}
    where = [{"system": "any", "agents_group": "gpu", "config": "default"}]
    stage = {"parent": "root", "triggers": {"parent": True}, "parameters": [], "configs": []}
    code = f"def stage(ctx):\n    return {stage | {'jobs': [job | {'environments': where}]}}\n"
    client.create_stage(branch.id, "s", code)
    client.disable_agent(_agent(client, B).id)
    client.start_flow(branch.id)
    eventually(lambda: _speak(client, A)["job"], bool)  # it is busy now, so the next job waits
    client.start_flow(branch.id)
    (waiting,) = eventually(lambda: ask("jobs", "waiting"), bool)
    number = str(waiting["job"]["id"])
    assert ask("jobs", "cancel", "--stranded", "--yes") == []
    assert main(["jobs", "cancel", number]) == 64
    assert main(["jobs", "cancel"]) == 64
    assert main(["jobs", "cancel", "--waiting", "--group", "cpu", "--yes"]) == 1
    capsys.readouterr()
    assert ask("jobs", "cancel", number, "--yes", "--wait", "30") == [{"subject": f"job {number} (j)", "state": "over"}]
    assert ask("jobs", "waiting") == []
    assert ask("jobs", "cancel", number, "--yes") == []


def test_each_verb_is_written_into_the_audit_log_with_the_command(
    client: KrakenClient, ask: Ask, tmp_path: Path
) -> None:
    ask("agents", "disable", A, "--note", "a new disk")
    lines = [json.loads(line) for line in (tmp_path / "state" / "audit.log").read_text().splitlines()]
    (line,) = [line for line in lines if line["action"] == "disable agent"]
    assert (line["program"], line["targets"], line["result"]) == ("kraken-fleet agents disable", [A], "ok")
    assert (line["account"], line["server"]) == ("admin", client.url)
