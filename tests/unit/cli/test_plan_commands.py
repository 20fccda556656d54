"""plan and apply against a real embedded server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient
from tests.terminal import on_a_terminal
from tests.unit.cli.planned_fleet import INVENTORY, Run, addresses


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
    assert "groups of build-2" not in out
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
    (discovered,) = [agent for agent in client.agents(unauthorized=True) if agent.address == "127.0.0.21"]
    client.set_authorized([discovered.id])
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


def test_a_trust_file_lets_in_by_network_and_nothing_else(
    client: KrakenClient, inventory: str, run: Run, tmp_path: Path
) -> None:
    requests.post(f"{client.url}/backend", json={"address": "10.9.9.9", "msg": "get-job"}, timeout=60)
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
        ("- rules: [{networks: 5, groups: [x]}]", "not a list"),
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
    code, _, err = run("apply", "-i", inventory, "--prune", "delete", "--max-prune", "1", "--yes")
    assert code == 1
    assert "%" in err
    assert "127.0.0.66" in addresses(client)


def test_what_takes_an_agent_out_of_work_is_no_addition(client: KrakenClient, inventory: str, run: Run) -> None:
    run("apply", "-i", inventory)
    stranger = next(agent.id for agent in client.agents(unauthorized=True) if agent.address == "127.0.0.66")
    client.set_authorized([stranger])
    out = run("plan", "-i", inventory, "--prune", "disable", "--max-prune", "90")[1]
    assert "  - disable 127.0.0.66" in out
    assert "1 change: 1 disable." in out


def test_apply_without_a_plan_or_an_inventory_is_a_wrong_command_line(client: KrakenClient, run: Run) -> None:
    assert run("apply")[0] == 64


@pytest.mark.parametrize("command", [["plan"], ["apply"], ["reconcile"], ["doctor"], ["agents", "list"]])
@pytest.mark.parametrize("limit", ["nosuch", "build-1,nosuch", "all:!nosuch"])
@pytest.mark.usefixtures("client")
def test_a_limit_that_names_nobody_is_an_error(inventory: str, run: Run, command: list[str], limit: str) -> None:
    code, out, err = run(*command, "-i", inventory, "--limit", limit)
    assert (code, out) == (1, "")
    assert "No host and no group of the inventory matches 'nosuch'" in err
