"""Reading inventories through Ansible itself."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import load


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    _write(
        tmp_path / "hosts.yml",
        """
        all:
          children:
            site:
              vars: {kraken_agent_groups: [site]}
              children:
                kraken_group_gpu:
                  hosts:
                    a: {ansible_host: 10.0.0.1}
                    b: {ansible_host: 10.0.0.2}
        """,
    )
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def test_files_in_host_vars_and_group_vars_add_up_with_the_inventory(inventory: Path) -> None:
    _write(inventory / "host_vars" / "a.yml", "kraken_agent_groups: [own]")
    _write(inventory / "group_vars" / "all.yml", "kraken_agent_groups: [everywhere]")
    fleet = load([inventory / "hosts.yml"])
    assert {agent.host: agent.groups for agent in fleet.agents} == {
        "a": {"own", "everywhere", "site", "gpu"},
        "b": {"everywhere", "site", "gpu"},
    }
    assert fleet.complete


def test_a_limit_makes_a_slice(inventory: Path) -> None:
    fleet = load([inventory / "hosts.yml"], limit="b")
    assert [agent.host for agent in fleet.agents] == ["b"]
    assert not fleet.complete


def test_templates_are_filled_in_for_each_host_at_every_level(inventory: Path) -> None:
    _write(
        inventory / "group_vars" / "all.yml",
        """
        kraken_agent_address: "{{ ansible_host | replace('10.0', '10.9') }}"
        kraken_agent_groups: ["for-{{ inventory_hostname }}"]
        """,
    )
    found = {agent.host: (agent.address, agent.groups) for agent in load([inventory / "hosts.yml"]).agents}
    assert found == {"a": ("10.9.0.1", {"for-a", "site", "gpu"}), "b": ("10.9.0.2", {"for-b", "site", "gpu"})}


def test_a_template_that_cannot_be_filled_in_names_host_variable_and_file(inventory: Path) -> None:
    _write(inventory / "host_vars" / "b.yml", 'kraken_agent_address: "{{ nowhere }}"')
    with pytest.raises(InventoryError, match="'nowhere' is undefined") as caught:
        load([inventory / "hosts.yml"])
    assert caught.value.where == f"{inventory}/host_vars/b.yml:1: host b, variable kraken_agent_address"


def test_a_wrong_variable_is_found_in_its_file_and_line(inventory: Path) -> None:
    _write(inventory / "group_vars" / "site.yml", "---\nkraken_agent_enabled: perhaps")
    with pytest.raises(InventoryError, match="'perhaps' is not yes or no") as caught:
        load([inventory / "hosts.yml"])
    assert caught.value.where == f"{inventory}/group_vars/site.yml:2: host a, variable kraken_agent_enabled"


def test_an_inventory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"nothing.yml: there is no such file or directory"):
        load([tmp_path / "nothing.yml"])


def test_an_inventory_that_ansible_cannot_parse_is_an_error_not_an_empty_fleet(tmp_path: Path) -> None:
    _write(tmp_path / "hosts.yml", "all: {hosts: [unclosed")
    with pytest.raises(InventoryError, match=r"hosts\.yml"):
        load([tmp_path / "hosts.yml"])


def test_an_ini_inventory_and_a_host_list_are_understood(tmp_path: Path) -> None:
    _write(tmp_path / "hosts", "[kraken_group_gpu]\na ansible_host=10.0.0.1 kraken_agent_groups='[\"x\"]'\n")
    assert load([tmp_path / "hosts"]).agents[0].groups == {"x", "gpu"}
    assert [agent.address for agent in load(["10.0.0.7,10.0.0.8,"]).agents] == ["10.0.0.7", "10.0.0.8"]


@pytest.mark.parametrize("verbosity", ["1", "3"])
def test_what_an_ansible_cfg_wants_printed_does_not_matter(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, verbosity: str
) -> None:
    monkeypatch.setenv("ANSIBLE_VERBOSITY", verbosity)
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "ansible.builtin.minimal")
    _write(inventory / "host_vars" / "b.yml", "kraken_agent_address: '{{ ansible_host }}'")
    assert {agent.address for agent in load([inventory / "hosts.yml"]).agents} == {"10.0.0.1", "10.0.0.2"}


def test_a_program_that_writes_no_json_is_told_in_words(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ansible-inventory"
    program.write_text("#!/bin/sh\necho Using /etc/ansible/ansible.cfg as config file\n")
    program.chmod(0o755)
    monkeypatch.setattr("kraken_fleet.inventory.command.ansible_program", lambda _name: str(program))
    with pytest.raises(InventoryError, match=r"did not write JSON, but: 'Using /etc/ansible"):
        load([inventory / "hosts.yml"])
