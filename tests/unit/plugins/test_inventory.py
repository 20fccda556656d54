"""The inventory plugin, through ansible-inventory against the embedded server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import load
from tests.unit.plugins.task_runs import Stage

ONE, TWO, NEW = "127.0.7.1", "127.0.7.2", "127.0.7.3"


def inventory(stage: Stage, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    source = stage.folder / "build.kraken.yml"
    source.write_text(yaml.safe_dump({"plugin": "kraken_ci.fleet.kraken", **options}))
    # Ansible goes on with an empty inventory when a source cannot be read, unless told otherwise.
    return stage.run(["ansible-inventory", "-i", str(source), *arguments], ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="1")


def listed(stage: Stage, **options: Any) -> dict[str, Any]:
    answer = inventory(stage, "--list", **options)
    assert answer.returncode == 0, answer.stderr
    # Text from elsewhere is marked, so that nobody takes it for a template.
    found: dict[str, Any] = json.loads(answer.stdout, object_hook=lambda read: read.get("__ansible_unsafe", read))
    return found


@pytest.fixture
def fleet(stage: Stage) -> Stage:
    stage.join(ONE, "gpu", docker="28.1")
    stage.join(TWO, "big-disk", system="fedora-40", isolation_type="container", isolation="lxc")
    stage.speak(NEW)
    return stage


def test_the_graph_shows_agents_by_group_system_executor_isolation_and_state(fleet: Stage) -> None:
    with fleet.client as client:
        client.disable_agent(fleet.agents()[TWO].id)
    graph = inventory(fleet, "--graph")
    assert graph.returncode == 0, graph.stderr
    members: dict[str, set[str]] = {}
    group = ""
    for line in graph.stdout.splitlines():
        name = line.lstrip(" |-")
        if name.startswith("@"):
            group = name.strip("@:")
        else:
            members.setdefault(group, set()).add(name)
    assert members == {
        "kraken_group_gpu": {ONE},
        "kraken_agents_group_big_disk": {TWO},
        "kraken_executor_local": {ONE, TWO},
        "kraken_executor_docker": {ONE},
        "kraken_system_debian_12": {ONE},
        "kraken_system_fedora_40": {TWO},
        "kraken_isolation_bare_metal": {ONE},
        "kraken_isolation_lxc": {TWO},
        "kraken_state_idle": {ONE},
        "kraken_state_disabled": {TWO},
    }


def test_agents_are_hosts_with_what_the_server_knows_of_them(fleet: Stage) -> None:
    found = listed(fleet)
    facts = found["_meta"]["hostvars"][TWO]
    assert facts["ansible_host"] == TWO
    assert facts["kraken_agents_groups"] == ["all", "big-disk"]
    assert (facts["kraken_system"], facts["kraken_isolation_type"]) == ("fedora-40", "container")
    assert facts["kraken_authorized"] is True
    assert NEW not in found["_meta"]["hostvars"], "it waits to be authorized"


def test_agents_that_wait_come_when_asked_for(fleet: Stage) -> None:
    found = listed(fleet, discovered=True)
    assert found["kraken_state_discovered"]["hosts"] == [NEW]
    assert found["_meta"]["hostvars"][NEW]["kraken_authorized"] is False


def test_constructed_groups_and_variables_work_as_everywhere(fleet: Stage) -> None:
    found = listed(
        fleet,
        keyed_groups=[{"key": "kraken_isolation_type", "prefix": "kind"}],
        compose={"ansible_user": "'builder'", "label": "kraken_system ~ '/' ~ kraken_address"},
        groups={"with_docker": "'docker' in kraken_executors"},
    )
    assert found["kind_container"]["hosts"] == [TWO]
    assert found["with_docker"]["hosts"] == [ONE]
    assert found["_meta"]["hostvars"][ONE]["ansible_user"] == "builder"
    assert found["_meta"]["hostvars"][ONE]["label"] == f"debian-12/{ONE}"


def test_strict_fails_on_an_expression_that_does_not_hold(fleet: Stage) -> None:
    assert "x" not in listed(fleet, compose={"x": "no_such_variable"})["_meta"]["hostvars"][ONE]
    answer = inventory(fleet, "--list", compose={"x": "no_such_variable"}, strict=True)
    assert answer.returncode != 0
    assert "no_such_variable" in answer.stderr


def test_the_cache_spares_the_server_until_it_is_flushed(fleet: Stage, tmp_path: Path) -> None:
    cache = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache")}
    first = listed(fleet, **cache)
    fleet.join(NEW)
    assert listed(fleet, **cache)["_meta"]["hostvars"] == first["_meta"]["hostvars"]
    flushed = inventory(fleet, "--list", "--flush-cache", **cache)
    assert NEW in json.loads(flushed.stdout)["_meta"]["hostvars"]
    assert NEW in listed(fleet, **cache)["_meta"]["hostvars"], "what was read anew is kept"
    assert fleet.server.password not in "".join(path.read_text() for path in (tmp_path / "cache").iterdir())


def test_the_account_may_be_named_in_the_file(fleet: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(fleet.server.password + "\n")
    source = fleet.folder / "build.kraken.yml"
    account = {"server_url": fleet.server.url, "user": "admin", "password_file": str(secret)}
    source.write_text(yaml.safe_dump({"plugin": "kraken_ci.fleet.kraken", **account}))
    nothing = dict.fromkeys(("KRAKEN_FLEET_SERVER", "KRAKEN_FLEET_USER", "KRAKEN_FLEET_PASSWORD"), "")
    answer = fleet.run(["ansible-inventory", "-i", str(source), "--list"], **nothing)
    assert ONE in answer.stdout, answer.stderr


def test_a_wrong_password_is_said_with_what_to_do(stage: Stage) -> None:
    answer = inventory(stage, "--list", user="admin", password="wr0ng-pass")
    assert answer.returncode != 0
    assert "password" in answer.stderr
    assert "/api/sessions" in answer.stderr
    assert "wr0ng-pass" not in answer.stderr


def test_missing_credentials_are_said_with_what_to_do(stage: Stage) -> None:
    source = stage.folder / "build.kraken.yml"
    source.write_text("plugin: kraken_ci.fleet.kraken\n")
    environment = {
        "KRAKEN_FLEET_USER": "",
        "KRAKEN_FLEET_PASSWORD": "",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
    }
    answer = stage.run(["ansible-inventory", "-i", str(source), "--list"], **environment)
    assert answer.returncode != 0
    assert "There is no account for the Kraken server" in answer.stderr


def test_a_server_that_does_not_answer_is_named(stage: Stage) -> None:
    answer = inventory(stage, "--list", server_url="http://127.0.0.1:1")
    assert answer.returncode != 0
    assert "127.0.0.1:1" in answer.stderr
    assert "refused" in answer.stderr.lower()


def test_another_file_name_is_not_taken(stage: Stage) -> None:
    source = stage.folder / "other.yml"
    source.write_text("plugin: kraken_ci.fleet.kraken\n")
    answer = stage.run(["ansible-inventory", "-i", str(source), "--list"], ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="1")
    assert answer.returncode != 0


def test_what_it_lists_can_be_deployed_again(fleet: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fleet.folder / "build.kraken.yml"
    source.write_text("plugin: kraken_ci.fleet.kraken\n")
    for name, value in fleet.environment().items():
        monkeypatch.setenv(name, value)
    wanted = {agent.address: sorted(agent.groups) for agent in load([source]).agents}
    assert wanted == {ONE: ["gpu"], TWO: ["big-disk"]}


def test_what_an_agent_says_of_itself_is_never_run_as_a_template(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "sprung"
    stage.join(ONE, system="{{ lookup('pipe', 'touch " + str(trap) + "') }}")
    source = stage.folder / "build.kraken.yml"
    options = {"plugin": "kraken_ci.fleet.kraken", "compose": {"kraken_agent_system": "kraken_system"}}
    source.write_text(yaml.safe_dump(options))
    for name, value in stage.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InventoryError, match="is a template that is not filled in"):
        load([source])
    assert not trap.exists()
