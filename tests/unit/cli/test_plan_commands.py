"""plan, apply and reconcile against a real embedded server."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.cli.main import main
from kraken_fleet.server.testing import running
from tests.stages import shell_job, stage_code
from tests.terminal import on_a_terminal

INVENTORY = """
kraken_agents:
  hosts:
    build-1: {kraken_agent_address: 127.0.0.21}
    build-2: {kraken_agent_address: 127.0.0.22}
    far: {kraken_agent_address: 127.0.0.99}
kraken_group_linux:
  hosts: {build-1: {}, build-2: {}}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KrakenClient]:
    """A server with three agents waiting, one of which nobody asked for."""
    with running(tmp_path / "server") as server:
        (tmp_path / "password").write_text(server.password)
        monkeypatch.setenv("KRAKEN_FLEET_SERVER", server.url)
        monkeypatch.setenv("KRAKEN_FLEET_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("KRAKEN_FLEET_USER", server.user)
        monkeypatch.setenv("KRAKEN_FLEET_PASSWORD_FILE", str(tmp_path / "password"))
        for address in ("127.0.0.21", "127.0.0.22", "127.0.0.66"):
            requests.post(f"{server.url}/backend", json={"address": address, "msg": "get-job"}, timeout=5)
        with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
            yield client


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def addresses(client: KrakenClient) -> set[str]:
    return {agent.address for agent in client.agents() if agent.address.startswith("127.")}


def test_plan_shows_what_would_change_changes_nothing_and_exits_2(
    client: KrakenClient, inventory: str, run: Run
) -> None:
    code, out, _ = run("plan", "-i", inventory)
    assert code == 2
    assert "create agents group linux" in out
    assert "authorize build-1 (127.0.0.21)" in out
    assert "far" in out, "a host that the server never saw is told"
    assert "127.0.0.66" in out, "an agent that the inventory has not is told"
    assert addresses(client) == set()


def test_plan_exits_1_when_it_cannot_compare(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("kraken_agents: {hosts: {a: {kraken_agent_address: 127.0.0.21, kraken_agent_enabled: perhaps}}}")
    code, _, err = run("plan", "-i", str(broken))
    assert code == 1
    assert "kraken_agent_enabled" in err
    monkeypatch.setenv("KRAKEN_FLEET_SERVER", "http://127.0.0.1:9")
    code, out, _ = run("plan", "-i", inventory, "--json")
    assert code == 1
    assert json.loads(out)["error"]["kind"] == "ServerUnreachable"


def test_the_groups_mode_of_the_inventory_decides_who_leaves_other_groups(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    run("apply", "-i", inventory)
    old = client.create_group("old").id
    agents = {agent.address: agent for agent in client.agents()}
    for address in ("127.0.0.21", "127.0.0.22"):
        client.set_agent_groups(agents[address].id, [*(ref.id for ref in agents[address].groups), old])
    assert run("plan", "-i", inventory)[0] == 0, "merge is the default"
    one_exact = INVENTORY.replace(
        "{kraken_agent_address: 127.0.0.21}", "{kraken_agent_address: 127.0.0.21, kraken_agent_groups_mode: exact}"
    )
    (tmp_path / "hosts.yml").write_text(one_exact)
    code, out, _ = run("plan", "-i", inventory)
    assert code == 2
    assert "groups of build-1 (127.0.0.21): -old" in out
    assert "build-2" not in out
    assert "groups of build-2 (127.0.0.22): -old" in run("plan", "-i", inventory, "--groups", "exact")[1]


def test_people_at_a_terminal_see_a_bar_and_programs_do_not(
    client: KrakenClient, inventory: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "apply", "-i", inventory]
    code, drawn = on_a_terminal(command, os.environ)
    assert code == 0, drawn
    assert re.search(r"changing ━+ 5/5 0:00:\d\d", drawn), drawn
    assert "5 done, 0 failed" in drawn
    (tmp_path / "hosts.yml").write_text(INVENTORY.replace("linux", "unix"))
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "3 done, 0 failed" in piped.stdout
    assert "━" not in piped.stdout + piped.stderr


def test_apply_makes_it_so_and_then_there_is_nothing_to_do(client: KrakenClient, inventory: str, run: Run) -> None:
    assert run("apply", "-i", inventory)[0] == 0
    assert addresses(client) == {"127.0.0.21", "127.0.0.22"}
    assert all("linux" in agent.group_names for agent in client.agents() if agent.address in addresses(client))
    code, out, _ = run("plan", "-i", inventory)
    assert code == 0
    assert "No changes" in out


def test_a_saved_plan_is_applied_exactly_and_once(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    saved = str(tmp_path / "plan.json")
    assert run("plan", "-i", inventory, "--limit", "build-1", "--out", saved)[0] == 2
    assert run("apply", saved)[0] == 0
    assert addresses(client) == {"127.0.0.21"}
    code, _, err = run("apply", saved)
    assert code == 1
    assert "make a new plan" in err.lower()


def test_a_plan_goes_into_a_pipe_and_leaves_it_one(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(pipe.read_text)
        assert run("plan", "-i", inventory, "--out", str(pipe))[0] == 2
        assert json.loads(reader.result(30))["changes"]
    assert pipe.is_fifo()


def test_a_plan_is_refused_when_the_server_has_changed_meanwhile(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    saved = str(tmp_path / "plan.json")
    run("plan", "-i", inventory, "--out", saved)
    (waiting,) = [agent for agent in client.agents(unauthorized=True) if agent.address == "127.0.0.21"]
    client.set_authorized([waiting.id])
    code, _, _ = run("apply", saved)
    assert code == 1
    assert addresses(client) == {"127.0.0.21"}


def test_json_is_one_document_with_the_schema(client: KrakenClient, inventory: str, run: Run) -> None:
    code, out, _ = run("plan", "-i", inventory, "--json")
    document = json.loads(out)
    assert code == 2
    assert document["ok"]
    assert document["data"]["schema"] == "kraken-fleet/plan/1"
    assert document["data"]["summary"]["authorize"] == 2


def test_plan_tells_which_group_jobs_wait_for_in_vain_and_exits_as_before(
    client: KrakenClient, inventory: str, run: Run
) -> None:
    run("apply", "-i", inventory, "--limit", "build-1")
    (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
    branch = client.create_branch(client.create_project("p").id, "b")
    client.create_stage(branch.id, "s", stage_code(shell_job("linux", "true", name="compile")))
    for _ in range(2):  # the agent takes the first job only, and holds it
        client.start_flow(branch.id)
        requests.post(f"{client.url}/backend", json={"address": agent.address, "msg": "get-job"}, timeout=5)
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


def test_reconcile_tells_programs_one_event_a_line(client: KrakenClient, inventory: str, run: Run) -> None:
    code, out, _ = run("reconcile", "-i", inventory, "--json")
    events: list[Any] = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [events[0]["event"], events[-1]["event"]] == ["planned", "finished"]
    assert sum(event["event"] == "done" for event in events) == events[-1]["done"]


def _until(process: subprocess.Popen[str], kind: str) -> list[Any]:
    """The events up to the next one of this kind."""
    assert process.stdout
    events: list[Any] = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == kind:
            break
    return events


def test_a_watch_undoes_changes_rereads_the_inventory_and_ends_when_interrupted(
    client: KrakenClient, inventory: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "reconcile", "-i", inventory, "--watch", "--json"]
    # Whoever runs the tests in the background ignores Ctrl-C, and what is started from there would, too.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command += ["--interval", "1"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, preexec_fn=heard) as process:
        try:
            first = _until(process, "sleeping")
            assert sum(event["event"] == "done" for event in first) > 0
            assert 0.9 <= first[-1]["seconds"] <= 1.1
            (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
            client.set_agent_groups(agent.id, [1])
            (tmp_path / "hosts.yml").write_text(INVENTORY.replace("linux", "unix"))
            deadline = time.monotonic() + 60
            while "unix" not in client.agent(agent.id).group_names and time.monotonic() < deadline:
                _until(process, "sleeping")
            assert "unix" in client.agent(agent.id).group_names
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_a_trust_file_lets_in_by_network_and_nothing_else(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    requests.post(f"{client.url}/backend", json={"address": "10.9.9.9", "msg": "get-job"}, timeout=5)
    trust = tmp_path / "trust.yml"
    trust.write_text("- cidr: {networks: [127.0.0.0/24], groups: [strangers]}\n")
    assert run("apply", "-i", inventory, "--trust", str(trust))[0] == 0
    let_in = {agent.address: agent.group_names for agent in client.agents()}
    assert "10.9.9.9" not in let_in
    assert "strangers" in let_in["127.0.0.66"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid YAML"),
        ("inventory", "not a list"),
        ("- strangers", "not understood"),
        ("- cidr: {}", "networks"),
        ("- rules: [{networks: 10.0.0.0/8, groups: [x]}]", "not a list"),
    ],
)
def test_a_wrong_trust_file_is_named_with_the_reason(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path, text: str, message: str
) -> None:
    trust = tmp_path / "trust.yml"
    trust.write_text(text)
    code, _, err = run("plan", "-i", inventory, "--trust", str(trust))
    assert code == 64
    assert str(trust) in err
    assert message in err


def test_too_much_pruning_is_refused_with_its_numbers(client: KrakenClient, inventory: str, run: Run) -> None:
    run("authorize", "--all")
    code, _, err = run("apply", "-i", inventory, "--prune", "delete", "--max-prune", "1")
    assert code == 1
    assert "%" in err
    assert "127.0.0.66" in addresses(client)


def test_apply_without_a_plan_or_an_inventory_is_a_wrong_command_line(client: KrakenClient, run: Run) -> None:
    assert run("apply")[0] == 64


@pytest.mark.parametrize("command", [["plan"], ["apply"], ["reconcile"]])
@pytest.mark.parametrize("limit", ["nosuch", "build-1,nosuch", "all:!nosuch"])
@pytest.mark.usefixtures("client")
def test_a_limit_that_names_nobody_is_an_error(inventory: str, run: Run, command: list[str], limit: str) -> None:
    code, out, err = run(*command, "-i", inventory, "--limit", limit)
    assert (code, out) == (1, "")
    assert "No host and no group of the inventory matches 'nosuch'" in err


def test_findings_can_end_a_plan_with_a_code_of_their_own(client: KrakenClient, inventory: str, run: Run) -> None:
    everybody = ("-i", inventory, "--limit", "build-1,build-2")
    run("apply", *everybody)
    assert run("plan", *everybody, "--fail-on", "warning")[0] == 0
    assert run("plan", *everybody, "--fail-on", "finding")[0] == 4, (
        "they speak from another address, which is only told"
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
    assert finding["message"] == f"127.0.0.21 spoke from 192.0.2.9, and speaks from {now} now"
    assert "--accept-peers" in finding["hint"]
    planned = json.loads(run("reconcile", "-i", inventory, "--json")[1].splitlines()[0])
    assert "peer_changed" in json.dumps(planned), "reconcile tells of it too"
    assert changed("--accept-peers") == []
    assert changed() == []
