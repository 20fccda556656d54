"""The command that prints rules for a firewall, with an inventory as users have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.cli.main import main

INVENTORY = """
kraken_agents:
  hosts:
    build-1: {ansible_host: 192.0.2.21}
    build-2: {kraken_agent_instances: [{name: a, address: 192.0.2.31}, {name: b, address: 192.0.2.32}]}
    far: {ansible_host: no-such-host.invalid}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    return str(path)


@pytest.mark.parametrize("form", ["nftables", "nginx"])
def test_rules_are_printed_and_a_host_without_an_address_is_named(
    form: str, inventory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["firewall", "-i", inventory, "--format", form, "--allow", "198.51.100.0/24"])
    said = capsys.readouterr()
    assert code == 3
    for address in ("192.0.2.21", "192.0.2.31", "192.0.2.32", "198.51.100.0/24"):
        assert address in said.out
    assert "so the rules leave them out: far. Set kraken_agent_address of their hosts" in " ".join(said.err.split())
    assert "far" not in said.out
    assert "no-such-host" not in said.out


def test_a_slice_is_refused_before_anything_is_printed(inventory: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["firewall", "-i", inventory, "--format", "nginx", "--limit", "build-1"]) == 64
    said = capsys.readouterr()
    assert said.out == ""
    assert "Leave out --limit" in said.err
