"""The server and the account that an inventory names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import Inventory
from kraken_fleet.inventory.command import ansible_program

HOSTS = "kraken_agents: {hosts: {a: {ansible_host: 10.0.0.1}, b: {ansible_host: 10.0.0.2}}}\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yml").write_text(HOSTS)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "vault-password").write_text("open sesame\n")
    return tmp_path


def variables(site: Path, text: str, name: str = "kraken_agents") -> None:
    (site / "group_vars" / f"{name}.yml").write_text(text)


def inventory(site: Path, *arguments: str, limit: str | None = None) -> Inventory:
    return Inventory([site / "hosts.yml"], limit, arguments=arguments)


def vault(site: Path, *command: str | Path) -> str:
    words = [
        ansible_program("ansible-vault"),
        *map(str, command),
        "--vault-password-file",
        str(site / "vault-password"),
    ]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_plain_variables_are_taken_as_they_are(site: Path) -> None:
    variables(site, "{kraken_server_url: 'https://k', kraken_server_user: admin, kraken_server_ca_bundle: /ca.pem}")
    found = inventory(site).server()
    assert (found.url, found.user, found.ca_bundle, found.password) == ("https://k", "admin", "/ca.pem", "")


def test_an_inventory_that_names_no_server_says_nothing(site: Path) -> None:
    assert inventory(site).server().url == ""


def test_a_template_of_a_vaulted_file_is_filled_in(site: Path) -> None:
    variables(site, "{kraken_server_url: 'https://k', kraken_server_password: '{{ vault_password }}'}")
    variables(site, "vault_password: hush-hush\n", "all")
    vault(site, "encrypt", site / "group_vars" / "all.yml")
    found = inventory(site, f"--vault-password-file={site / 'vault-password'}").server()
    assert found.password == "hush-hush"
    assert "hush-hush" not in repr(found)


def test_a_vaulted_value_loses_the_line_end_that_it_was_encrypted_with(site: Path) -> None:
    secret = vault(site, "encrypt_string", "hush-hush\r\n", "--name", "kraken_server_password")
    variables(site, f"kraken_server_url: https://k\n{secret}\n")
    assert inventory(site, f"--vault-password-file={site / 'vault-password'}").server().password == "hush-hush"


def test_without_the_vaults_password_the_rest_is_known_and_the_account_is_locked(site: Path) -> None:
    secret = vault(site, "encrypt_string", "hush-hush", "--name", "kraken_server_password")
    variables(site, f"kraken_server_url: https://k\nkraken_server_user: admin\n{secret}\n")
    found = inventory(site).server()
    assert (found.url, found.user, found.password) == ("https://k", "admin", "")
    assert found.locked is not None
    assert "--ask-vault-pass" in str(found.locked.hint)


def test_an_undefined_variable_in_the_account_is_an_error_with_its_file(site: Path) -> None:
    variables(site, "kraken_server_url: 'https://{{ nowhere }}'\n")
    with pytest.raises(InventoryError, match="'nowhere' is undefined") as caught:
        inventory(site).server()
    assert str(caught.value.where).startswith(f"{site}/group_vars/kraken_agents.yml:1")


def test_hosts_of_different_servers_are_refused_unless_a_limit_leaves_one(site: Path) -> None:
    (site / "hosts.yml").write_text(
        "kraken_agents: {hosts: {a: {kraken_server_url: 'https://one'}, b: {kraken_server_url: 'https://two'}}}\n"
    )
    with pytest.raises(InventoryError, match="Hosts a and b have different values"):
        inventory(site).server()
    assert inventory(site, limit="b").server().url == "https://two"


def test_an_extra_variable_wins_over_the_inventory(site: Path) -> None:
    variables(site, "kraken_server_url: https://k\n")
    assert inventory(site, "-e", "kraken_server_url=https://other").server().url == "https://other"


def test_the_fleet_sees_extra_variables_and_opens_vaults_too(site: Path) -> None:
    variables(site, "kraken_agent_groups: ['{{ site_name }}']\n")
    fleet = inventory(site, "-e", "site_name=oslo").fleet()
    assert {agent.groups for agent in fleet.agents} == {frozenset({"oslo"})}


def test_no_log_file_of_ansible_gets_the_account(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_LOG_PATH", str(site / "ansible.log"))
    variables(site, "{kraken_server_url: 'https://k', kraken_server_password: \"{{ 'hush' ~ 'hush' }}\"}")
    assert inventory(site).server().password == "hushhush"
    assert not (site / "ansible.log").exists()
