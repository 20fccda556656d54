"""Variables of hosts with and without facts, from Ansible's own variable manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import connection_loader
from ansible.vars.manager import VariableManager
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.facts import quick_without_facts

Read = Callable[[str], dict[str, Any]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The variables of two hosts, of which one has said something about itself."""
    (tmp_path / "hosts").write_text("plain ansible_host=10.0.0.1 kraken_agent_groups=x\ntold ansible_host=10.0.0.2\n")
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "hosts")])
    manager = VariableManager(loader=loader, inventory=inventory)
    manager.set_host_facts("told", {"ansible_ssh_port": 2222, "ansible_kernel": "6.1", "ansible_winrm_x": "y"})
    return lambda host: dict(manager.get_vars(host=inventory.get_host(host), include_hostvars=False))


def test_hosts_have_the_same_variables_when_those_without_facts_are_read_quickly(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {host: read(host) for host in ("plain", "told")}
    assert before["told"]["ansible_kernel"] == "6.1"
    assert "ansible_winrm_x" not in before["told"], "no fact sets a variable of a connection"
    with quick_without_facts():
        assert {host: read(host) for host in ("plain", "told")} == before
        searches: list[object] = []

        def search(**how: object) -> Iterator[str]:
            searches.append(how)
            return iter(())

        monkeypatch.setattr(connection_loader, "all", search)
        read("plain")
        assert searches == []
        read("told")
        assert searches
    searches.clear()
    read("plain")
    assert searches, "afterwards Ansible is as it was"
