"""How often Ansible is asked to fill in templates: not once for each host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import Inventory, asking, environment, load

pytestmark = pytest.mark.timeout(240)  # some runs of Ansible
NUMBER = 24  # more than are asked one by one


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The runs of Ansible that fill in templates, as they are made."""
    made: list[Sequence[str]] = []
    run = environment.run_ansible

    def counted(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        made.append(command)
        return run(command, timeout)

    monkeypatch.setattr(asking, "run_ansible", counted)
    return made


def inventory(folder: Path, common: dict[str, object], **special: dict[str, object]) -> Path:
    """Write an inventory of so many hosts, some of them with variables of their own."""
    hosts: dict[str, dict[str, object]] = {
        f"host{number:02}": {"ansible_host": f"192.0.2.{number}", "site": f"site{number % 2}"}
        for number in range(1, NUMBER + 1)
    }
    for host, variables in special.items():
        hosts[host].update(variables)
    path = folder / "hosts.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    return path


def test_templates_that_only_name_variables_need_no_run(tmp_path: Path, runs: list[Sequence[str]]) -> None:
    common: dict[str, object] = {
        "kraken_agent_address": "{{ ansible_host }}",
        "kraken_agent_groups": ["{{ site }}", "only-{{ inventory_hostname }}"],
    }
    fleet = load([inventory(tmp_path, common)])
    assert runs == []
    assert {agent.address: agent.groups for agent in fleet.agents} == {
        f"192.0.2.{number}": {f"site{number % 2}", f"only-host{number:02}"} for number in range(1, NUMBER + 1)
    }


def test_one_run_fills_in_what_is_of_each_host_and_what_hosts_share(tmp_path: Path, runs: list[Sequence[str]]) -> None:
    common: dict[str, object] = {
        "kraken_agent_groups": ["{{ site | upper }}"],
        "kraken_agent_address": "{{ ansible_host | replace('192.0.2', '198.51.100') }}",
    }
    fleet = load([inventory(tmp_path, common)])
    assert len(runs) == 1
    assert {agent.address: agent.groups for agent in fleet.agents} == {
        f"198.51.100.{number}": {f"SITE{number % 2}"} for number in range(1, NUMBER + 1)
    }


@pytest.mark.parametrize(
    ("template", "words", "most"),
    [("{{ nobody | upper }}", "'nobody' is undefined", 2), ("{{ site | nothing }}", "No filter named 'nothing'", 4)],
)
def test_the_host_whose_template_is_wrong_is_found_among_many(
    tmp_path: Path, runs: list[Sequence[str]], template: str, words: str, most: int
) -> None:
    common: dict[str, object] = {"kraken_agent_address": "{{ ansible_host | trim }}"}
    with pytest.raises(InventoryError, match=words) as caught:
        load([inventory(tmp_path, common, host11={"kraken_agent_groups": [template]})])
    assert caught.value.host == "host11"
    assert len(runs) <= most


def test_what_cannot_be_filled_in_is_named_without_the_values_beside_it(tmp_path: Path) -> None:
    common: dict[str, object] = {
        "kraken_agent_environment": {"https_proxy": "http://u:S3CRETPW@proxy:3128"},
        "kraken_agent_system_id": "{{ nobody }}",
    }
    found = Inventory([inventory(tmp_path, common)])
    with pytest.raises(InventoryError) as caught:
        found.variables("host01", ["kraken_agent_environment", "kraken_agent_system_id"])
    assert caught.value.variable == "kraken_agent_system_id"
    assert "S3CRETPW" not in str(caught.value)
