"""Upgrades of agents that are containers: one by the method docker, two beside a Compose project, on a real engine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from kraken_fleet.api import KrakenClient, PasswordCredentials, read_secret
from kraken_fleet.lab.host_image import Recipe
from kraken_fleet.model import is_own_group
from tests.background import looking
from tests.e2e.compose_project import FIRST, RUN, SECOND, SERVICES, SUBNET, containers, idle_image, running_project, sh
from tests.e2e.real_lab import RealLab, Recap, real_lab
from tests.e2e.upgrade_helpers import VERIFY_SECONDS, start_job

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

OLD, NEW, BROKEN, MISSING = (f"kraken-fleet-test/kkagent:{version}.{RUN}" for version in ("1.0", "2.0", "3.0", "4.0"))
CONTAINER = f"kraken-agent-upgraded-{RUN}"
ALONE = "198.51.100.9"
# A job that ends when somebody makes this file in its container: after the drain, and not a moment before.
GO = "/tmp/drained"
HOSTS = {"engine": (ALONE,), "beside": (FIRST, SECOND)}


@dataclass
class Upgrading:
    """Two hosts that are this machine: one whose agent is a container, one with two agents beside a Compose project.

    Args:
        variables: of the hosts, by name; a test changes them before it plays.
    """

    lab: RealLab
    client: KrakenClient
    project: Path
    variables: dict[str, dict[str, Any]]
    # The addresses of agents that were disabled while their first container ran a job.
    drained: set[str] = field(default_factory=set)

    def play(self, playbook: str, *arguments: str) -> Recap:
        given = yaml.safe_load((self.lab.directory / "hosts.yml").read_text())["kraken_agents"]["vars"]
        inventory = self.lab.parent / "containers.yml"
        agents = {"hosts": self.variables, "vars": {**given, "kraken_agent_drain_seconds": 5}}
        groups: dict[str, Any] = {f"kraken_group_{name}": {"hosts": {name: {}}} for name in self.variables}
        inventory.write_text(yaml.safe_dump({"kraken_agents": agents, **groups}))
        return self.lab.play(playbook, "-i", str(inventory), *arguments)

    def want(self, image: str, *hosts: str) -> None:
        for host in hosts:
            self.variables[host]["kraken_agent_image"] = image

    def agents(self) -> dict[str, tuple[bool, frozenset[str]]]:
        """By address: whether an agent may have jobs, and its groups."""
        return {agent.address: (agent.enabled, frozenset(agent.group_names)) for agent in self.client.agents()}

    def containers(self) -> dict[str, str]:
        """The container of each agent, by its address."""
        own = sh("docker", "ps", "--no-trunc", "--quiet", "--filter", f"name=^/{CONTAINER}$").strip()
        composed = containers(self.project)
        return {ALONE: own, FIRST: composed.get("agent1", ""), SECOND: composed.get("agent2", "")}

    def images(self) -> set[str]:
        inspected = sh("docker", "inspect", "--format", "{{.Config.Image}}", *self.containers().values())
        return set(inspected.split())

    def let_drained_jobs_end(self, old: dict[str, str]) -> None:
        """Let the job of each agent end that is drained, and keep that agent's address.

        Args:
            old: the container of each agent before the upgrade.
        """
        for agent in self.client.agents():
            if agent.job and agent.disabled and agent.address not in self.drained:
                sh("docker", "exec", old[agent.address], "touch", GO)
                self.drained.add(agent.address)


@contextlib.contextmanager
def _agent_images(lab: RealLab, folder: Path) -> Iterator[None]:
    """Two releases of the agent, and an image that says that it has one and sleeps."""
    lab.fleet("bundle", "image", "--tag", OLD, "--base", Recipe().image)
    try:
        (folder / "Dockerfile").write_text(f'FROM {OLD}\nENTRYPOINT ["sleep", "600"]\n')
        sh("docker", "build", "--quiet", "--pull=false", "--tag", BROKEN, str(folder))
        (folder / "Dockerfile").write_text(f"FROM {OLD}\nENV RELEASE=2\n")
        sh("docker", "build", "--quiet", "--pull=false", "--tag", NEW, str(folder))
        yield
    finally:
        for name in (CONTAINER, f"{CONTAINER}-new"):
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        subprocess.run(["docker", "image", "rm", "--force", BROKEN, NEW, OLD], capture_output=True, check=False)


@pytest.fixture
def upgrading(tmp_path: Path) -> Iterator[Upgrading]:
    folders = [tmp_path / name for name in ("images", "idle")]
    for folder in folders:
        folder.mkdir()
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(real_lab(tmp_path, "containers", 1))
        status = lab.asked("lab", "status", *lab.named())
        server = f"KRAKEN_SERVER_ADDR={status['server_url']}\n"
        stack.enter_context(idle_image(folders[1]))
        project = stack.enter_context(running_project(tmp_path / f"kfupgrade{RUN}", server))
        stack.enter_context(_agent_images(lab, folders[0]))
        credentials = PasswordCredentials("admin", read_secret(lab.directory / "admin-password"))
        client = stack.enter_context(KrakenClient(status["server_url"], credentials))
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "kraken_become": False}
        engine = {
            **local,
            "kraken_agent_install_method": "docker",
            "kraken_agent_unit": CONTAINER,
            "kraken_agent_address": ALONE,
        }
        beside = {
            **local,
            "kraken_agent_install_method": "compose",
            "kraken_compose_file": str(project),
            "kraken_compose_subnet": SUBNET,
            "kraken_compose_recreate_network": True,
            "kraken_agent_instances": [{"name": "agent1", "address": FIRST}, {"name": "agent2", "address": SECOND}],
        }
        yield Upgrading(lab, client, project, {"engine": engine, "beside": beside})


def test_containers_are_drained_upgraded_and_given_back_whatever_fails(upgrading: Upgrading) -> None:
    upgrading.want(OLD, *HOSTS)
    done = upgrading.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false")
    assert done.code == 0, done.output
    before, old = upgrading.agents(), upgrading.containers()
    assert set(before) == {ALONE, FIRST, SECOND}
    assert all(enabled for enabled, _groups in before.values())
    services = {name: containers(upgrading.project)[name] for name in SERVICES}

    _upgrade_beside_jobs(upgrading, before, old)
    new = upgrading.containers()
    again = upgrading.play("upgrade-agents.yml")
    assert (again.code, again.changed) == (0, dict.fromkeys(HOSTS, 0)), again.output
    assert upgrading.containers() == new

    _fail_in_the_middle(upgrading)
    assert upgrading.agents() == before
    assert upgrading.images() == {NEW}
    after = upgrading.containers()
    assert (after[FIRST], after[SECOND]) == (new[FIRST], new[SECOND]), "an image that is missing stops nothing"
    assert {name: containers(upgrading.project)[name] for name in SERVICES} == services
    assert [group.name for group in upgrading.client.groups() if is_own_group(group.name)] == []


def _upgrade_beside_jobs(upgrading: Upgrading, before: dict[str, Any], old: dict[str, str]) -> None:
    """Upgrade while each host has a job: it is drained first, and the job ends in the container that began it."""
    runs = [start_job(upgrading.client, host, f"until [ -e {GO} ]; do sleep 0.1; done") for host in HOSTS]
    upgrading.want(NEW, *HOSTS)
    with looking(partial(upgrading.let_drained_jobs_end, old)):
        done = upgrading.play("upgrade-agents.yml", "-e", "kraken_upgrade_serial=100%")
    assert done.code == 0, done.output
    jobs = [job for run in runs for job in upgrading.client.run_jobs(run)]
    assert all(job.succeeded for job in jobs), jobs

    busy = {agent.address for agent in upgrading.client.agents() if agent.id in {job.agent_id for job in jobs}}
    assert upgrading.drained == busy
    assert upgrading.agents() == before
    assert upgrading.images() == {NEW}
    told = " ".join(done.output.split())
    assert f"recreate container {CONTAINER} from image {OLD} to {NEW}" in told
    for name in ("agent1", "agent2"):
        assert f"recreate agent {name} from image {OLD} to {NEW}" in told


def _fail_in_the_middle(upgrading: Upgrading) -> None:
    """Upgrade the one to an image whose agent does nothing, the others to one that there is not."""
    upgrading.want(BROKEN, "engine")
    upgrading.want(MISSING, "beside")
    settings = ("-e", "kraken_upgrade_serial=100%", "-e", f"kraken_upgrade_verify_timeout={VERIFY_SECONDS}")
    done = upgrading.play("upgrade-agents.yml", *settings)
    assert done.failed == dict.fromkeys(HOSTS, 1), done.output
    told = " ".join(done.output.split())
    for host, why in (
        ("engine", f"no agent has taken the job in {VERIFY_SECONDS} s"),
        ("beside", f"docker pull --quiet {MISSING}"),
    ):
        message = told.rpartition(f"fatal: [{host}]: FAILED!")[2].partition("fatal:")[0]
        assert why in message, told
        assert f"The host runs {NEW} again and has jobs as before" in message, told
