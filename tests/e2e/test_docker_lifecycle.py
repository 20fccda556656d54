"""Upgrades of agents that are services of systemd, on two hosts: what works, and what does not and is taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kraken_fleet.api import KrakenClient, PasswordCredentials, read_secret
from kraken_fleet.model import Agent
from tests.e2e.real_lab import RealLab, real_lab
from tests.e2e.upgrade_helpers import VERIFY_SECONDS, release_of, start_long_job
from tests.unique_names import unique_name

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]
UPGRADE = "upgrade-agents.yml"
HOSTS = ("build-1", "build-2")


@dataclass
class Upgrading:
    """Two hosts with agents that work, and what a test asks of both and of their server."""

    lab: RealLab
    client: KrakenClient
    addresses: dict[str, str]

    def agents(self) -> dict[str, Agent]:
        known = {agent.address: agent for agent in self.client.agents()}
        return {host: known[address] for host, address in self.addresses.items()}

    def state(self) -> dict[str, tuple[str, str, bool]]:
        """By host: the release, the number of the service's process, and whether the agent may have jobs."""
        shown = self.lab.on_hosts("basename $(readlink /opt/kraken/current) && systemctl show -P MainPID kraken-agent")
        agents = self.agents()
        told = {host: text.replace("\\n", "\n").split() for host, text in shown.items()}
        return {host: (release, pid, agents[host].enabled) for host, (release, pid) in told.items()}


@pytest.fixture(scope="module")
def upgrading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrading]:
    """The lab, and its agents of some release."""
    with real_lab(tmp_path_factory.mktemp("upgrades"), "hosts", len(HOSTS)) as lab:
        done = lab.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false")
        assert done.code == 0, done.output
        status = lab.asked("lab", "status", *lab.named())
        addresses = {each["host"]["name"]: each["host"]["address"] for each in status["hosts"]}
        credentials = PasswordCredentials("admin", read_secret(lab.directory / "admin-password"))
        with KrakenClient(status["server_url"], credentials) as client:
            yield Upgrading(lab, client, addresses)


def test_an_upgrade_waits_for_a_job_and_leaves_an_agent_whose_job_goes_on(
    upgrading: Upgrading,
) -> None:
    client, before = upgrading.client, upgrading.state()
    busy = upgrading.agents()["build-1"]
    slow = client.create_group(unique_name("slow"))
    client.set_agent_groups(busy.id, {slow.id, *(group.id for group in busy.groups)})
    run = start_long_job(client, slow.name, seconds=45)

    wanted = ("-e", "kraken_agent_bundle_version=2.0")
    left = upgrading.lab.play(UPGRADE, *wanted, "-e", "kraken_upgrade_drain_timeout=1", "--limit", "build-1")
    assert left.failed == {"build-1": 1}, left.output
    assert "still runs a job after 1 s" in left.output
    assert upgrading.state() == before

    done = upgrading.lab.play(UPGRADE, *wanted, "-e", "kraken_upgrade_serial=1")
    assert done.code == 0, done.output
    (job,) = client.run_jobs(run)
    assert job.succeeded, job
    after = upgrading.state()
    assert [(release[:3], enabled) for release, _, enabled in after.values()] == [("2.0", True)] * len(HOSTS)
    assert upgrading.agents()["build-1"].group_names == {"all", "build", slow.name}
    again = upgrading.lab.play(UPGRADE, *wanted)
    assert again.changed == dict.fromkeys(HOSTS, 0), again.output
    assert upgrading.state() == after


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('it cannot start')", "it cannot start"),
        ("import time; time.sleep(600)", f"no agent has taken the job in {VERIFY_SECONDS} s"),
    ],
    ids=["one that ends at once", "one that does no job"],
)
def test_a_release_that_does_not_work_is_taken_back_and_no_other_host_is_touched(
    upgrading: Upgrading, tmp_path: Path, program: str, said: str
) -> None:
    before = upgrading.state()
    variables = tmp_path / "bad.json"
    variables.write_text(json.dumps({**release_of(program, tmp_path / "bad"), "kraken_agent_bundle_version": "bad"}))
    settings = ("-e", "kraken_upgrade_serial=1", "-e", f"kraken_upgrade_verify_timeout={VERIFY_SECONDS}")
    done = upgrading.lab.play(UPGRADE, "-e", f"@{variables}", *settings)

    assert done.code != 0
    assert done.failed == {"build-1": 1, "build-2": 0}
    assert done.output.count("PLAY [Upgrade Kraken agents]") == 1, "the next batch was begun"
    told = " ".join(done.output.split())
    assert said in told, told
    assert f"The host runs {before['build-1'][0]} again and has jobs as before" in told
    after = upgrading.state()
    assert after["build-2"] == before["build-2"]
    assert (after["build-1"][0], after["build-1"][2]) == (before["build-1"][0], True)
    assert set(upgrading.lab.on_hosts("systemctl is-active kraken-agent").values()) == {"active"}
    assert upgrading.agents()["build-1"].group_names >= {"all", "build"}
