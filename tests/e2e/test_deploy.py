"""The deploy and remove playbooks on loopback hosts with real agents and the embedded server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.loopback_fleet import Fleet, alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NewFleet = Callable[..., Fleet]
DEPLOY, REMOVE = "deploy-agents.yml", "remove-agents.yml"


def test_a_deploy_is_predicted_done_proven_and_then_has_nothing_to_do(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1", "test-1")
    fleet.inventory["kraken_group_first_build"] = {"hosts": {"build-1": {}}}
    fleet.inventory["kraken_group_first_test"] = {"hosts": {"test-1": {}}}

    predicted = fleet.play(DEPLOY, "--check", "--diff")
    assert predicted.code == 0, predicted.text
    assert not (fleet.directory / "hosts").exists(), "check mode has touched the host"
    assert fleet.agents() == {}, "check mode has touched the server"

    done = fleet.play(DEPLOY, "--diff")
    assert done.code == 0, done.text
    assert done.diffs == predicted.diffs
    assert done.changed == predicted.changed
    groups = {agent.address: agent.group_names for agent in fleet.agents().values() if agent.authorized}
    assert groups == {
        fleet.host("build-1")["kraken_agent_address"]: {"all", "first_build"},
        fleet.host("test-1")["kraken_agent_address"]: {"all", "first_test"},
    }

    for arguments in (["--check", "--diff"], ["--diff"]):
        again = fleet.play(DEPLOY, *arguments, "-v")
        assert again.changed == {"build-1": 0, "test-1": 0}, again.text
        assert again.diffs == ""
    assert '"log_line": "kraken-fleet-proof-' in again.text


def test_removing_leaves_nothing_on_host_and_server_and_can_be_repeated(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    assert fleet.play(DEPLOY, "-e", "kraken_verify_enabled=false").code == 0
    pid = fleet.pid("build-1")

    predicted = fleet.play(REMOVE, "--check", "--diff")
    assert fleet.home("build-1").exists()
    done = fleet.play(REMOVE, "--diff")
    assert done.code == 0, done.text
    assert done.diffs == predicted.diffs
    assert not fleet.home("build-1").exists()
    assert not alive(pid)
    assert fleet.agents() == {}
    assert fleet.play(REMOVE).changed == {"build-1": 0}

    # The server remembers a removed agent as disabled; one that is deployed anew gets jobs all the same.
    assert fleet.play(DEPLOY, "-e", "kraken_verify_enabled=false").code == 0
    assert [(agent.authorized, agent.enabled) for agent in fleet.agents().values()] == [(True, True)]


def test_groups_add_up_over_all_levels_also_of_hosts_that_join_during_the_play(
    new_fleet: NewFleet, tmp_path: Path
) -> None:
    fleet = new_fleet("near", "far", "late")
    late = fleet.inventory["kraken_agents"]["hosts"].pop("late")
    fleet.variables["kraken_agent_groups"] = ["levels-fleet"]
    fleet.inventory["site_a"] = {"children": {"rack_1": {"hosts": {"near": {}}}}}
    fleet.host("near")["kraken_agent_groups"] = ["levels-{{ inventory_hostname }}"]
    for name, value in (("site_a", "levels-site"), ("rack_1", "levels-rack"), ("kraken_agents", "levels-file")):
        path = fleet.directory / "inventory" / "group_vars" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"kraken_agent_groups: [{value}]\n")
    joining = tmp_path / "joining.yml"
    joining.write_text(_JOINING.format(**late, deploy=Path(__file__).parents[2] / "playbooks" / DEPLOY))

    done = fleet.play(str(joining), "-e", "kraken_verify_enabled=false", "--limit", "near:late")
    assert done.code == 0, done.text
    fleet.inventory["kraken_agents"]["hosts"]["late"] = late
    groups = {agent.address: set(agent.group_names) - {"all"} for agent in fleet.agents().values()}
    # group_vars beside the inventory go before the inventory's own variables of the same group, as Ansible has it.
    near = {"levels-file", "levels-site", "levels-rack", "levels-near"}
    assert groups == {
        fleet.host("near")["kraken_agent_address"]: near,
        late["kraken_agent_address"]: {"levels-file", "levels-late"},
    }


_JOINING = """
- hosts: near
  gather_facts: false
  tasks:
    - ansible.builtin.add_host:
        name: late
        groups: [kraken_agents, kraken_group_levels-late]
        kraken_agent_address: {kraken_agent_address}
        kraken_agent_dir: {kraken_agent_dir}
      changed_when: false
- ansible.builtin.import_playbook: {deploy}
"""


def test_an_inventory_with_localhost_in_it_works(new_fleet: NewFleet) -> None:
    fleet = new_fleet("localhost")
    del fleet.variables["ansible_python_interpreter"]
    fleet.inventory["kraken_group_explicit"] = {"hosts": {"localhost": {}}}
    done = fleet.play(DEPLOY)
    assert done.code == 0, done.text
    assert [agent.group_names for agent in fleet.agents().values()] == [{"all", "explicit"}]


def test_several_agents_on_one_host_are_deployed_and_removed_in_one_call(new_fleet: NewFleet) -> None:
    fleet = new_fleet("box", "spare")
    spare = fleet.inventory["kraken_agents"]["hosts"].pop("spare")
    first = fleet.host("box").pop("kraken_agent_address")
    fleet.host("box")["kraken_agent_instances"] = [
        {"name": "small", "address": first, "groups": ["inst-small"]},
        {"name": "big", "address": spare["kraken_agent_address"], "groups": ["inst-big"], "environment": {"JOBS": 16}},
    ]
    done = fleet.play(DEPLOY)
    assert done.code == 0, done.text
    assert "JOBS=16" in (fleet.directory / "hosts" / "box-big" / "kraken.env").read_text()
    with fleet.client() as client:
        groups = {agent.address: set(agent.group_names) - {"all"} for agent in client.agents()}
    assert groups[first] == {"inst-small"}
    assert groups[spare["kraken_agent_address"]] == {"inst-big"}
    assert fleet.play(DEPLOY).changed == {"box": 0}
    assert fleet.play(REMOVE).code == 0
    assert list((fleet.directory / "hosts").iterdir()) == []


def test_new_settings_restart_the_agent_once_and_secrets_stay_out_of_the_output(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    quick = ["-e", "kraken_verify_enabled=false", "--diff", "-vvv"]
    fleet.variables["kraken_agent_environment"] = {"https_proxy": "http://me:hunter-one@proxy:3128"}
    texts = [fleet.play(DEPLOY, *quick).text]
    before = fleet.pid("build-1")
    fleet.variables["kraken_agent_environment"] = {"https_proxy": "http://me:hunter-two@proxy:3128"}
    again = fleet.play(DEPLOY, *quick)
    texts.append(again.text)
    assert again.changed == {"build-1": 1}
    assert fleet.pid("build-1") != before
    assert "+https_proxy=******** (changed)" in again.text
    assert "hunter-two" in (fleet.home("build-1") / "kraken.env").read_text()
    said = "\n".join(texts)
    assert fleet.server.password not in said
    # The arguments of a module are shown at -vvv; what the inventory calls a secret is not among them.
    assert fleet.play(DEPLOY, *quick).changed == {"build-1": 0}


def test_a_preflight_stops_a_host_before_anything_of_the_agent_is_put_on_it(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1", "test-1")
    fleet.host("test-1")["kraken_agent_server_url"] = "http://127.0.0.1:1"
    done = fleet.play(DEPLOY, "-e", "kraken_verify_enabled=false")
    assert done.code == 2
    assert "Check that the server runs and that no firewall stands between" in done.text
    assert not fleet.home("test-1").exists()
    assert fleet.home("build-1").exists(), "the other host is deployed all the same"
