"""What the deploy playbook asks of a server before it lets the server's own script install an agent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.loopback_fleet import Fleet

METHOD = {"kraken_agent_install_method": "script"}
MANAGED = {"kraken_server_manage_settings": True, "kraken_clickhouse_addr": "127.0.0.9:9001"}


def general(fleet: Fleet) -> dict[str, object]:
    with fleet.client() as client:
        return client.settings()["general"]


@pytest.fixture
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    """One host that the script is to install, and one that it is not; the server lacks what the script is made of."""
    made = new_fleet("scripted", "other")
    made.host("scripted").update(METHOD)
    with made.client() as client:
        client.update_settings({"general": {"server_url": made.server.url, "clickhouse_addr": ""}})
    return made


def test_a_server_that_cannot_make_its_script_fails_only_the_hosts_that_want_it(fleet: Fleet) -> None:
    played = fleet.play("deploy-agents.yml", "--tags", "agent")
    assert played.failed == {"scripted": True, "other": False}
    assert "its settings server_url and clickhouse_addr must be set" in played.message
    assert "kraken_server_manage_settings to true" in played.message
    assert not fleet.home("scripted").exists()
    assert (fleet.home("other") / "current").exists()


def test_an_empty_setting_is_set_when_allowed_and_a_set_one_stays(fleet: Fleet) -> None:
    fleet.host("scripted").update(MANAGED, kraken_agent_server_url="http://127.0.0.8:6363")
    predicted = fleet.play("deploy-agents.yml", "--tags", "agent", "--check", "--diff", "--limit", "scripted")
    assert "+ clickhouse_addr: 127.0.0.9:9001" in predicted.diffs.replace("+  ", "+ ")
    assert general(fleet)["clickhouse_addr"] == ""

    played = fleet.play("deploy-agents.yml", "--tags", "agent", "--limit", "scripted")
    assert played.changed == {"scripted": 1}
    found = general(fleet)
    assert (found["server_url"], found["clickhouse_addr"]) == (fleet.server.url, "127.0.0.9:9001")
    again = fleet.play("deploy-agents.yml", "--tags", "agent", "--limit", "scripted")
    assert again.changed == {"scripted": 0}


def test_what_the_script_cannot_do_is_refused_before_it_is_run(fleet: Fleet) -> None:
    """These hosts have neither systemd nor root."""
    fleet.host("scripted").update(MANAGED)
    played = fleet.play("deploy-agents.yml", "--tags", "agent", "--limit", "scripted")
    assert played.failed == {"scripted": True}
    assert "The server's script makes a service of systemd, as root" in played.message
    assert not fleet.home("scripted").exists()
