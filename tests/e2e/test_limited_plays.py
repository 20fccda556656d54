"""Deploys and upgrades of one host of several (`-l`): only that host is touched, and no other one proves it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.background import looking
from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEPLOY, UPGRADE = "deploy-agents.yml", "upgrade-agents.yml"
HOSTS = ("build-1", "build-2", "build-3")


@pytest.fixture
def fleet(new_fleet: Callable[..., Fleet]) -> Fleet:
    """Three hosts in one agents group, deployed."""
    made = new_fleet(*HOSTS)
    made.variables["kraken_agent_groups"] = ["limited"]
    done = made.play(DEPLOY, "-e", "kraken_verify_enabled=false")
    assert done.code == 0, done.text
    return made


def release(fleet: Fleet, host: str) -> str:
    return (fleet.home(host) / "current").readlink().name.partition("-")[0]


def test_an_upgrade_of_one_host_leaves_the_others_alone_and_at_work(fleet: Fleet) -> None:
    fleet.variables["kraken_agent_bundle_version"] = "2.0"
    old, pids = release(fleet, "build-1"), [fleet.pid("build-1"), fleet.pid("build-3")]
    mine = fleet.host("build-2")["kraken_agent_address"]
    out: set[str] = set()
    with looking(lambda: out.update(address for address, agent in fleet.agents().items() if agent.disabled)):
        done = fleet.play(UPGRADE, "-l", "build-2")
    assert done.code == 0, done.text
    assert [release(fleet, host) for host in HOSTS] == [old, "2.0", old]
    assert [fleet.pid("build-1"), fleet.pid("build-3")] == pids
    assert out == {mine}
    assert f"switch from version {old}-" in done.message
    assert "build-2: proven, job" in done.message
    assert set(done.changed) == {"build-2"}, "no other host is in the play"
    assert all(agent.enabled for agent in fleet.agents().values())


def test_a_deploy_of_one_host_is_not_proven_by_another_one_of_its_group(fleet: Fleet) -> None:
    stopped = fleet.pid("build-2")
    os.kill(stopped, signal.SIGSTOP)  # it is there, and takes no job
    try:
        bad = fleet.play(DEPLOY, "-l", "build-2", "-e", "kraken_verify_timeout=10")
        good = fleet.play(DEPLOY, "-l", "build-1:build-3")
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert bad.code != 0, bad.text
    assert bad.failed == {"build-2": True}, bad.text
    assert good.code == 0, good.text
    assert "build-1: proven, job" in good.message
    healed = fleet.play(DEPLOY, "-l", "build-2")
    assert healed.code == 0, healed.text
    assert "build-2: proven, job" in healed.message
