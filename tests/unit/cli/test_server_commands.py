"""Commands against a real embedded server, with agents that announce themselves as agents do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.cli.main import main
from kraken_fleet.server.testing import RunningServer, running
from tests.stages import shell_job, stage_code
from tests.unit.cli.planned_fleet import Ask


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A server that the environment names, with two discovered agents."""
    with running(tmp_path / "server") as found:
        (tmp_path / "password").write_text(found.password + "\n")
        monkeypatch.setenv("KRAKEN_FLEET_SERVER", found.url)
        monkeypatch.setenv("KRAKEN_FLEET_USER", found.user)
        monkeypatch.setenv("KRAKEN_FLEET_PASSWORD_FILE", str(tmp_path / "password"))
        for address in ("127.0.0.21", "127.0.0.22"):
            info = {"system": "debian-12", "system_type": "linux"}
            message = {"address": address, "msg": "host-info", "info": info}
            requests.post(f"{found.url}/backend", json=message, timeout=60).raise_for_status()
        yield found


@pytest.mark.usefixtures("server")
def test_an_agent_is_discovered_then_authorized_and_a_second_time_nothing_happens(ask: Ask) -> None:
    assert [agent["address"] for agent in ask("discovered", "list")] == ["127.0.0.21", "127.0.0.22"]
    assert ask("authorize", "127.0.0.21") == {"authorized": ["127.0.0.21"], "already": []}
    assert ask("authorize", "127.0.0.21") == {"authorized": [], "already": ["127.0.0.21"]}
    assert [agent["address"] for agent in ask("discovered", "list")] == ["127.0.0.22"]
    listed = [agent for agent in ask("agents", "list") if agent["address"].startswith("127.")]
    assert [(agent["address"], agent["authorized"]) for agent in listed] == [("127.0.0.21", True)]


@pytest.mark.usefixtures("server")
def test_all_that_wait_are_authorized_at_once(ask: Ask) -> None:
    assert ask("authorize", "--all")["authorized"] == ["127.0.0.21", "127.0.0.22"]
    assert ask("authorize", "--all") == {"authorized": [], "already": []}


@pytest.mark.usefixtures("server")
def test_authorize_wants_names_or_all_but_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["authorize"]) == 64
    assert main(["authorize", "--all", "127.0.0.21"]) == 64
    assert "--all" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_an_agent_is_shown_with_its_state(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("agents", "show", "127.0.0.22")["authorized"] is False
    assert main(["agents", "show", "127.0.0.22"]) == 0
    assert "not authorized" in capsys.readouterr().out
    assert main(["agents", "show", "nobody"]) == 1
    assert "no agent 'nobody'" in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_agents_are_listed_for_people_with_their_groups(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask("authorize", "--all")
    assert main(["agents", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["NAME", "ADDRESS", "STATE", "GROUPS", "SYSTEM", "LAST", "SEEN"] in rows
    assert ["-", "127.0.0.21", "idle", "all"] in [row[:4] for row in rows]


@pytest.mark.usefixtures("server")
def test_a_group_is_created_once_and_deleted(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("groups", "create", "build")["created"] is True
    assert ask("groups", "create", "build")["created"] is False
    assert "build" in {group["name"] for group in ask("groups", "list")}
    assert ask("groups", "delete", "build", "--yes")["deleted"]["name"] == "build"
    assert main(["groups", "delete", "build", "--yes"]) == 1
    assert "no agents group 'build'" in capsys.readouterr().err


def test_a_group_with_agents_is_deleted_only_by_force(
    server: RunningServer, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("authorize", "127.0.0.21")
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
        client.set_agent_groups(agent.id, [1, client.create_group("build").id])
        assert main(["groups", "delete", "build"]) == 64
        assert "Give --yes" in capsys.readouterr().err
        assert main(["groups", "delete", "build", "--yes"]) == 1
        assert "'build' has agents (1)" in capsys.readouterr().err
        assert ask("groups", "delete", "build", "--force", "--yes")["deleted"]["name"] == "build"
        assert client.agent(agent.id).group_names == {"all"}


@pytest.mark.usefixtures("server")
def test_a_group_is_renamed_but_not_to_a_name_that_is_taken(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    group = ask("groups", "create", "build")["group"]
    ask("groups", "create", "taken")
    assert ask("groups", "rename", "build", "big")["group"] == {**group, "name": "big"}
    assert ask("groups", "rename", "big", "big")["renamed"] is False
    assert main(["groups", "rename", "big", "taken"]) == 1
    assert "called 'taken' already" in capsys.readouterr().err
    assert main(["groups", "rename", "all", "everyone"]) == 1
    assert {"big", "taken", "all"} <= {group["name"] for group in ask("groups", "list")}


def test_jobs_that_wait_are_listed_and_those_that_nobody_can_take_are_told(
    server: RunningServer, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("jobs", "waiting") == []
    ask("authorize", "127.0.0.21")
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
        # It takes the first job only, and holds it.
        client.set_agent_groups(agent.id, [1, client.create_group("build").id])
        branch = client.create_branch(client.create_project("p").id, "b")
        client.create_stage(branch.id, "s", stage_code(shell_job("build", "true", name="compile")))
        for _ in range(2):
            client.start_flow(branch.id)
            requests.post(f"{server.url}/backend", json={"address": agent.address, "msg": "get-job"}, timeout=60)
        (waits,) = ask("jobs", "waiting")
        assert (waits["job"]["agents_group_name"], waits["stranded"]) == ("build", False)
        assert ask("jobs", "waiting", "--stranded") == []
        client.disable_agent(agent.id)
    assert [found["stranded"] for found in ask("jobs", "waiting", "--stranded")] == [True]
    assert main(["jobs", "waiting"]) == 0
    assert "its group has no agent that may take jobs" in capsys.readouterr().out


@pytest.mark.usefixtures("server")
def test_the_group_that_a_server_cannot_do_without_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["groups", "delete", "all", "--json", "--yes"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "UnsafeChange"


@pytest.mark.usefixtures("server")
def test_a_wrong_password_is_one_clear_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong").write_text("not-the-password\n")
    assert main(["agents", "list", "--password-file", str(tmp_path / "wrong")]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("Error: ")
    assert "not-the-password" not in shown.err + shown.out
    assert main(["agents", "list", "--password-file", str(tmp_path / "wrong"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "NotSignedIn"


def test_a_server_that_is_not_there_is_one_clear_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("KRAKEN_FLEET_TOKEN", "secret-token")
    assert main(["agents", "list", "--server", f"127.0.0.1:{port}"]) == 1
    shown = capsys.readouterr()
    assert f"127.0.0.1:{port}" in shown.err
    assert "secret-token" not in shown.err
    assert shown.out == ""


@pytest.mark.usefixtures("server")
def test_agents_of_a_group_are_listed_and_a_group_that_is_not_there_is_an_error(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("authorize", "127.0.0.21")
    ask("groups", "create", "build")
    assert "127.0.0.21" in [agent["address"] for agent in ask("agents", "list", "--group", "all")]
    assert ask("agents", "list", "--group", "build") == []
    assert main(["agents", "list", "--group", "biuld"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "There is no agents group 'biuld'. Did you mean build?" in said
