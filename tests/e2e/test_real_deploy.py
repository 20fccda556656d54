"""The deploy playbook on eight systemd hosts against the unmodified Kraken server: deploy, verify, repeat, remove."""

from __future__ import annotations

from typing import Any

import pytest

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.real_lab import LabOptions, RealLab, Recap

HOSTS = 8
pytestmark = [pytest.mark.docker, pytest.mark.real_server, pytest.mark.slow, pytest.mark.timeout(1200)]


LAB = LabOptions("real", "real", HOSTS, server="krakenci")


@pytest.fixture(scope="module")
def predicted(lab: RealLab) -> Recap:
    """A dry run on bare hosts."""
    return lab.play("deploy-agents.yml", "--check", "--diff")


@pytest.fixture(scope="module")
def first(lab: RealLab, predicted: Recap) -> Recap:
    """The first deploy."""
    assert predicted.code == 0, predicted.output
    return lab.play("deploy-agents.yml")


def _groups_by_address(lab: RealLab) -> dict[str, set[str]]:
    return {agent["address"]: {group["name"] for group in agent["groups"]} for agent in _agents(lab)}


def _agents(lab: RealLab) -> list[dict[str, Any]]:
    return list(lab.asked("agents", "list"))


def test_a_dry_run_on_bare_hosts_changes_neither_hosts_nor_server(lab: RealLab, predicted: Recap) -> None:
    assert predicted.code == 0, predicted.output
    assert len(predicted.changed) == HOSTS
    assert all(predicted.changed.values())
    assert _agents(lab) == []
    assert set(lab.on_hosts("ls -A /opt").values()) == {""}


def test_every_host_gets_an_agent_in_its_groups_and_every_group_runs_a_job(lab: RealLab, first: Recap) -> None:
    assert first.code == 0, first.output
    assert len(first.changed) == HOSTS
    assert not any(first.failed.values())
    status = lab.asked("lab", "status", "--name", lab.name, "--dir", str(lab.parent))
    wanted = {each["host"]["address"]: {"all", each["host"]["name"].partition("-")[0]} for each in status["hosts"]}
    assert _groups_by_address(lab) == wanted
    assert all(each["running"] for each in status["hosts"])


def test_the_agents_are_services_of_systemd_and_run_as_their_own_user(lab: RealLab, first: Recap) -> None:
    assert first.code == 0, first.output
    assert set(lab.on_hosts("systemctl is-active kraken-agent").values()) == {"active"}
    user = "ps -o user= -p $(systemctl show -P MainPID kraken-agent)"
    assert set(lab.on_hosts(user).values()) == {"kraken"}


def test_the_second_deploy_changes_nothing(lab: RealLab, first: Recap) -> None:
    assert first.code == 0, first.output
    second = lab.play("deploy-agents.yml")
    assert second.code == 0, second.output
    assert second.changed == dict.fromkeys(first.changed, 0)
    again = lab.play("deploy-agents.yml", "--check", "--diff")
    assert again.changed == dict.fromkeys(first.changed, 0)


def test_systemd_starts_an_agent_again_that_was_killed(lab: RealLab, first: Recap) -> None:
    assert first.code == 0, first.output
    lab.on_hosts("systemctl kill -s KILL kraken-agent; sleep 8")
    assert set(lab.on_hosts("systemctl is-active kraken-agent").values()) == {"active"}


def test_removing_leaves_nothing_on_hosts_and_server_and_can_be_repeated(lab: RealLab, first: Recap) -> None:
    assert first.code == 0, first.output
    removed = lab.play("remove-agents.yml")
    assert removed.code == 0, removed.output
    assert all(removed.changed.values())
    assert _agents(lab) == []
    left = (
        "ls -d /opt/kraken /etc/systemd/system/kraken* /etc/sudoers.d/*kraken* 2>/dev/null; getent passwd kraken;"
        " getent group kraken; true"
    )
    assert set(lab.on_hosts(left).values()) == {""}
    again = lab.play("remove-agents.yml")
    assert again.code == 0, again.output
    assert again.changed == dict.fromkeys(first.changed, 0)
