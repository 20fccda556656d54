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


@pytest.mark.parametrize(("variable", "locale"), [("LC_ALL", "C"), ("LC_ALL", "POSIX"), ("LANG", "de_DE.ISO-8859-1")])
def test_an_inventory_is_read_in_each_locale(
    inventory: Path, variable: str, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, locale)
    _write(inventory / "group_vars" / "all.yml", "kraken_agent_groups: [Prüfstand]")
    assert {"Prüfstand"} < load([inventory / "hosts.yml"]).groups


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
    with pytest.raises(InventoryError, match=r"nothing.yml: There is no such file or directory"):
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
    monkeypatch.setattr("kraken_fleet.inventory.source.ansible_program", lambda _name: str(program))
    with pytest.raises(InventoryError, match=r"did not write JSON, but: 'Using /etc/ansible"):
        load([inventory / "hosts.yml"])


def test_only_what_speaks_of_the_server_is_filled_in(inventory: Path) -> None:
    """The facts of hosts and passwords from a vault are there in a deploy, and not for a plan by a timer."""
    _write(
        inventory / "group_vars" / "all.yml",
        """
        kraken_agent_environment: {MAKEFLAGS: "-j{{ ansible_processor_vcpus }}"}
        kraken_agent_drain_seconds: "{{ job_minutes * 60 }}"
        kraken_server_password: "{{ vault_password }}"
        kraken_agent_groups: ["for-{{ inventory_hostname }}"]
        """,
    )
    _write(
        inventory / "host_vars" / "b.yml",
        """
        kraken_agent_instances:
          - name: big
            address: "{{ ansible_host }}"
            environment: {PROXY: "{{ vault_proxy_password }}"}
        """,
    )
    fleet = load([inventory / "hosts.yml"])
    assert {agent.label: agent.address for agent in fleet.agents} == {"a": "10.0.0.1", "b/big": "10.0.0.2"}
    assert fleet.agents[0].groups == {"for-a", "site", "gpu"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose site.yml imports a playbook of the collection, with its inventory two levels down."""
    folder = tmp_path / "project"
    production = folder / "inventories" / "production"
    production.mkdir(parents=True)
    _write(
        production / "hosts.yml",
        "all: {children: {site_oslo: {hosts: {a: {ansible_host: 10.0.0.1}}}}}",
    )
    _write(folder / "group_vars" / "site_oslo.yml", "---\nkraken_agent_groups: [oslo]\nkraken_agent_enabled: false\n")
    _write(folder / "group_vars" / "site_bergen.yml", "kraken_agent_groups: [bergen]\n")
    _write(folder / "group_vars" / "all.yml", "nginx_port: 80\n")
    return folder


@pytest.mark.parametrize("current", ["project", "."])
def test_the_current_directory_decides_nothing(project: Path, monkeypatch: pytest.MonkeyPatch, current: str) -> None:
    monkeypatch.chdir(project.parent / current)
    fleet = load([project / "inventories" / "production" / "hosts.yml"])
    assert fleet.agents[0].groups == set()
    assert fleet.agents[0].enabled is None
    assert [(file.path, file.variables) for file in fleet.unread_files] == [
        (str(project / "group_vars" / "site_oslo.yml"), ("kraken_agent_groups", "kraken_agent_enabled"))
    ]


def test_variables_beside_a_playbook_that_is_named_are_read(project: Path) -> None:
    fleet = load([project / "inventories" / "production" / "hosts.yml"], playbook_dir=project)
    assert fleet.agents[0].groups == {"oslo"}
    assert fleet.unread_files == ()


def test_templates_see_the_variables_beside_the_playbook(project: Path) -> None:
    _write(project / "group_vars" / "all.yml", "city: oslo")
    _write(project / "group_vars" / "site_oslo.yml", 'kraken_agent_groups: ["{{ city }}"]')
    fleet = load([project / "inventories" / "production" / "hosts.yml"], playbook_dir=project)
    assert fleet.agents[0].groups == {"oslo"}


def test_a_playbook_directory_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(InventoryError, match=r"nowhere: There is no such directory"):
        load([project / "inventories" / "production" / "hosts.yml"], playbook_dir=project / "nowhere")


def test_each_of_several_problems_has_its_file_and_line(inventory: Path) -> None:
    _write(inventory / "group_vars" / "all.yml", "kraken_registration_turst: inventory\n")
    _write(inventory / "host_vars" / "b.yml", "---\nkraken_agent_drain_seconds: soon")
    with pytest.raises(InventoryError) as caught:
        load([inventory / "hosts.yml"])
    said = str(caught.value)
    assert f"{inventory}/group_vars/all.yml:1: host a, variable kraken_registration_turst: There is no such" in said
    assert f"{inventory}/host_vars/b.yml:2: host b, variable kraken_agent_drain_seconds: 'soon' is not a whole" in said
