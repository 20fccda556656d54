"""A server that fails while an upgrade proves its agents: they have jobs again, and their hosts are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kraken_fleet.model import is_own_group
from tests.e2e.failing_proxy import failing_proxy
from tests.e2e.loopback_fleet import Fleet
from tests.e2e.slices import command_in_slices
from tests.e2e.upgrade_helpers import release_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOSTS = ("one", "two")


class Fault:
    """What fails from the moment when the first proof asks for a job.

    Args:
        most: how many requests of all kinds fail; None for all that are about jobs, for ever.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._asked = 0

    def __call__(self, _method: str, path: str) -> bool:
        of_jobs = any(part in path for part in ("/flows", "/runs", "/jobs"))
        if self._most is None:
            return of_jobs
        if of_jobs or self._asked:
            self._asked += 1
        return 0 < self._asked <= self._most


@pytest.mark.parametrize("hangs_up", [False, True], ids=["status 500", "the connection is lost"])
# Each request is tried again some times, so that one of eight failures is for good.
@pytest.mark.parametrize("most", [None, 8], ids=["what runs jobs", "everything for a while"])
def test_agents_have_jobs_again_when_the_server_fails_during_their_proof(
    new_fleet: Callable[..., Fleet], hangs_up: bool, most: int | None
) -> None:
    fleet = new_fleet(*HOSTS)
    assert fleet.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false").code == 0
    groups = {address: agent.group_names for address, agent in fleet.agents().items()}
    fleet.variables["kraken_agent_bundle_version"] = "2.0"
    fleet.variables["kraken_agent_server_url"] = fleet.server.url
    with failing_proxy(fleet.server.url, Fault(most), hangs_up=hangs_up) as proxy:
        fleet.variables["kraken_server_url"] = proxy.url
        done = fleet.play(
            "upgrade-agents.yml", "-e", "kraken_upgrade_serial=100%", "-e", "kraken_upgrade_max_unavailable=2"
        )
        assert proxy.failed > 0

    assert done.code != 0, done.text
    assert done.failed == dict.fromkeys(HOSTS, True), done.text
    assert "no job has proven its agent, for the server failed" in done.message
    assert all(agent.enabled for agent in fleet.agents().values()), done.text
    assert {address: agent.group_names for address, agent in fleet.agents().items()} == groups
    assert all((fleet.home(host) / "current").readlink().name.startswith("2.0-") for host in HOSTS)
    with fleet.client() as client:
        assert [group.name for group in client.groups() if is_own_group(group.name)] == []


@pytest.mark.parametrize("in_slices", [False, True], ids=["the playbook", "slices"])
def test_agents_that_went_back_stay_disabled_when_the_server_fails(
    new_fleet: Callable[..., Fleet], tmp_path: Path, in_slices: bool
) -> None:
    fleet = new_fleet(*HOSTS)
    assert fleet.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false").code == 0
    groups = {address: agent.group_names for address, agent in fleet.agents().items()}
    before = {host: (fleet.home(host) / "current").readlink().name for host in HOSTS}
    fleet.variables["kraken_agent_server_url"] = fleet.server.url
    # It does not start, so that the first job is one for the release of before.
    fleet.variables.update(release_of("import sys; sys.exit('broken')", tmp_path / "broken"))
    fleet.variables.update({"kraken_upgrade_serial": "100%", "kraken_upgrade_max_unavailable": 2})
    with failing_proxy(fleet.server.url, Fault(None), hangs_up=False) as proxy:
        fleet.variables["kraken_server_url"] = proxy.url
        done = command_in_slices(fleet, "upgrade", "--slices", "2") if in_slices else fleet.play("upgrade-agents.yml")
        assert proxy.failed > 0

    assert done.code == 2, done.text
    assert "it went back, and no job has proven it since, for the server failed" in done.message
    assert {host: (fleet.home(host) / "current").readlink().name for host in HOSTS} == before
    assert [agent.disabled for agent in fleet.agents().values()] == [True, True], done.text
    assert {address: agent.group_names for address, agent in fleet.agents().items()} == groups
