"""The files that a lab writes: Ansible and a shell have to understand them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kraken_fleet.errors import LabError
from kraken_fleet.lab import files
from kraken_fleet.lab.local import LocalDriver
from kraken_fleet.lab.playbook import ansible_environment
from kraken_fleet.lab.state import LabPaths, lab_paths

_URL = "http://127.0.0.1:4321"


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    found = lab_paths(tmp_path / "it's here", "demo")
    found.directory.mkdir(parents=True)
    return found


def test_three_hosts_are_in_two_groups() -> None:
    assert files.host_names(3) == ["build-1", "build-2", "test-3"]


def test_the_password_is_for_its_owner_only_and_another_one_each_time(paths: LabPaths) -> None:
    files.write_password(paths)
    first = paths.password.read_text()
    assert paths.password.stat().st_mode & 0o777 == 0o600
    files.write_password(paths)
    assert paths.password.read_text() != first
    assert len(first.strip()) >= 20


def test_ansible_reads_hosts_groups_and_password_from_the_inventory(paths: LabPaths) -> None:
    hosts = LocalDriver().create(paths.directory, files.host_names(3))
    files.write_password(paths)
    files.write_ansible_config(paths)
    files.write_inventory(paths, hosts, _URL)
    command = [sys.executable, "-m", "ansible", "inventory", "-i", str(paths.inventory), "--list"]
    environ = ansible_environment(paths)
    shown = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    inventory = json.loads(shown.stdout)
    assert inventory["kraken_group_build"]["hosts"] == ["build-1", "build-2"]
    assert inventory["kraken_group_test"]["hosts"] == ["test-3"]
    variables = inventory["_meta"]["hostvars"]["test-3"]
    assert variables["kraken_agent_address"] == "127.0.0.13"
    assert variables["kraken_server_url"] == _URL
    command[3:] = ["adhoc", "-i", str(paths.inventory), "build-1", "-m", "debug", "-a", "var=kraken_server_password"]
    asked = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert paths.password.read_text().strip() in asked.stdout


def test_the_password_is_in_no_other_file(paths: LabPaths) -> None:
    hosts = LocalDriver().create(paths.directory, files.host_names(2))
    files.write_password(paths)
    files.write_ansible_config(paths)
    files.write_inventory(paths, hosts, _URL)
    files.write_environment(paths, _URL)
    password = paths.password.read_text().strip()
    others = [path for path in paths.directory.rglob("*") if path.is_file() and path != paths.password]
    assert len(others) == 3
    assert not [path for path in others if password in path.read_text()]


def test_a_shell_can_source_the_environment(paths: LabPaths) -> None:
    files.write_environment(paths, _URL)
    script = '. "$1" && printf "%s\\n" "$KRAKEN_FLEET_SERVER" "$KRAKEN_FLEET_PASSWORD_FILE"'
    command = ["sh", "-c", script, "sh", str(paths.environment)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [_URL, str(paths.password)]


def test_the_users_own_ansible_settings_do_not_reach_a_lab(paths: LabPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "nothing")
    monkeypatch.setenv("KRAKEN_FLEET_SERVER", "http://production")
    environ = ansible_environment(paths)
    assert "ANSIBLE_STDOUT_CALLBACK" not in environ
    assert "KRAKEN_FLEET_SERVER" not in environ
    assert environ["ANSIBLE_CONFIG"] == str(paths.ansible_config)


def test_the_inventory_is_yaml_that_people_can_read(paths: LabPaths) -> None:
    files.write_inventory(paths, LocalDriver().create(paths.directory, files.host_names(1)), _URL)
    assert list(yaml.safe_load(paths.inventory.read_text())) == ["kraken_agents", "kraken_group_build"]


def test_hosts_have_addresses_of_their_own_beyond_one_byte(tmp_path: Path) -> None:
    hosts = LocalDriver().create(tmp_path, files.host_names(200))
    assert len({host.address for host in hosts}) == 200
    assert hosts[0].address == "127.0.0.11"


def test_more_hosts_than_a_machine_should_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="201 hosts are more"):
        LocalDriver().create(tmp_path, files.host_names(201))
