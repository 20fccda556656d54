"""Every way to install an agent with every executor that it can have: one deploy, then a job through each.

First with kraken-fleet's agent, then with one that has the habits of Kraken's own: tests/stand_in_agent.

The host with systemd is a container of LXD. It gets this machine's engines through sockets, and a directory that it
shares with this machine under the same path: a Docker engine mounts a job's directory by its path.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pylxd
import pytest
import yaml

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.lab.host_image import Recipe
from kraken_fleet.model import Job

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests import stand_in_agent
from tests.e2e.compose_project import FIRST, RUN, SUBNET, idle_image, running_project, sh
from tests.e2e.container_images import LXD_ALIAS, WITH_PYTHON, docker_images, lxd_image  # noqa: F401 - fixtures, used by name
from tests.e2e.real_lab import RealLab, real_lab
from tests.tcp_relay import unix_relay
from tests.unique_names import unique_name
from tests.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.lxd, pytest.mark.slow, pytest.mark.timeout(1200)]

SERVERS = ["embedded", pytest.param("krakenci", marks=pytest.mark.real_server)]
AGENT_IMAGE = f"kraken-fleet-test/kkagent:0.0.{RUN}"
OTHER_IMAGE = f"kraken-fleet-test/other-agent:1.7.{RUN}"
# For measurements (RFC 2544): Docker takes no addresses of it for networks of its own choice.
NETWORK, NETWORK_SUBNET = f"kraken-fleet-test-{RUN}", f"198.18.{RUN % 250}.0/24"
CONTAINERS = {"on_host": f"kraken-agent-on-host-{RUN}", "on_bridge": f"kraken-agent-on-bridge-{RUN}"}
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "kraken_become": False}
SYSTEMS = {"local": "any", "docker": WITH_PYTHON, "lxd": LXD_ALIAS}
# An agent in a container is given no socket of LXD: docs/install-methods.md.
OFFERED = {
    "service": ("local", "docker", "lxd"),
    "process": ("local", "docker", "lxd"),
    "on_host": ("local", "docker"),
    "on_bridge": ("local", "docker"),
    "composed": ("local", "docker"),
}
# The stand-in offers no more; docs/install-methods.md says what was tried with Kraken's own agent.
OFFERED_BY_OTHER: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("service", "on_host", "on_bridge", "composed"), ("local",)
)
SOCKETS = {"docker": "/run/docker.sock", "lxd": "/var/lib/lxd/unix.socket"}


@dataclass
class Fleet:
    """A lab with a host for each method.

    Args:
        inventory: of the agents, beside the lab's own.
        home: the directory that the host with systemd shares with this machine.
        hosts: the variables of each host of the inventory.
    """

    lab: RealLab
    inventory: Path
    home: Path
    hosts: dict[str, dict[str, Any]]

    def want(self, hosts: dict[str, dict[str, Any]]) -> None:
        """Write the inventory: each host is in a group of its own, by the method that it stands for."""
        self.hosts = hosts
        groups: dict[str, Any] = {f"kraken_group_{_method(name)}": {"hosts": {name: {}}} for name in hosts}
        agents = {"hosts": hosts, "vars": {"kraken_agent_drain_seconds": 5}}
        self.inventory.write_text(yaml.safe_dump({"kraken_agents": agents, **groups}))

    def play(self, playbook: str) -> dict[str, int]:
        """Run a playbook that must succeed; how much it has changed, by host."""
        done = self.lab.play(playbook, "-i", str(self.lab.directory / "hosts.yml"), "-i", str(self.inventory))
        assert done.code == 0, done.output
        return done.changed

    @contextlib.contextmanager
    def client(self) -> Iterator[KrakenClient]:
        settings = self.lab.settings()
        password = Path(settings["KRAKEN_FLEET_PASSWORD_FILE"]).read_text().strip()
        with KrakenClient(
            settings["KRAKEN_FLEET_SERVER"], PasswordCredentials(settings["KRAKEN_FLEET_USER"], password)
        ) as client:
            yield client


@contextlib.contextmanager
def _engines_of_this_machine(lab: RealLab, home: Path) -> Iterator[None]:
    """Give the lab's host sockets of the engines here, and a directory that has the same path there as here."""
    (instance,) = (name for name in sh("lxc", "list", "--format=csv", "--columns=n").split() if _is_of(lab, name))
    mapped = json.loads(sh("lxc", "config", "get", instance, "volatile.idmap.current"))
    root = next((each["Hostid"] for each in mapped if each["Isuid"]), 0)
    home.mkdir(mode=0o755)
    os.chown(home, root, root)
    device = ("lxc", "config", "device", "add", instance)
    sh(*device, "shared", "disk", f"source={home}", f"path={home}")
    # The executor of LXD needs the package pylxd: the host has no way to a package index, so it gets this one.
    packages = Path(pylxd.__file__).parents[1]
    sh(*device, "packages", "disk", f"source={packages}", f"path={packages}", "readonly=true")
    found = "$(python3 -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')"
    sh("lxc", "exec", instance, "--", "sh", "-c", f"mkdir -p {found} && echo {packages} > {found}/pylxd.pth")
    sh("lxc", "exec", instance, "--", "python3", "-c", "import pylxd")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home)
        stack.callback(sh, "lxc", "config", "device", "remove", instance, "shared")
        for name, path in SOCKETS.items():
            stack.enter_context(unix_relay(home / name, path))
            link = f"mkdir -p {Path(path).parent} && ln -s {home / name} {path}"
            sh("lxc", "exec", instance, "--", "sh", "-c", link)
        yield


def _is_of(lab: RealLab, instance: str) -> bool:
    return sh("lxc", "config", "get", instance, "user.kraken_fleet.lab").strip() == str(lab.directory.resolve())


def _variables(home: Path, folder: Path, project: Path) -> dict[str, dict[str, Any]]:
    """The hosts of the inventory; the lab's own one has its connection elsewhere."""
    in_container = {**LOCAL, "kraken_agent_image": AGENT_IMAGE, "kraken_agent_docker_socket": True}
    docker = {**in_container, "kraken_agent_install_method": "docker"}
    return {
        # Other accounts of this host have other numbers on this machine, where an engine mounts their directories.
        "build-1": {"kraken_agent_dir": f"{home}/agent", "kraken_agent_user": "root", "kraken_agent_allow_root": True},
        "process": {
            **LOCAL,
            "kraken_agent_service_manager": "process",
            "kraken_agent_user": "root",
            "kraken_agent_allow_root": True,
            "kraken_agent_dir": f"{folder}/process",
            "kraken_agent_address": "198.51.100.1",
        },
        "on_host": {
            **docker,
            "kraken_agent_unit": CONTAINERS["on_host"],
            "kraken_agent_address": "198.51.100.2",
        },
        "on_bridge": {
            **docker,
            "kraken_agent_unit": CONTAINERS["on_bridge"],
            "kraken_agent_container_network": "bridge",
            "kraken_agent_address": "198.51.100.3",
        },
        "composed": {
            **in_container,
            "kraken_agent_install_method": "compose",
            "kraken_compose_file": str(project),
            "kraken_compose_subnet": SUBNET,
            "kraken_compose_recreate_network": True,
            "kraken_agent_instances": [{"name": "agent1", "address": FIRST}],
        },
    }


@pytest.fixture(scope="module", params=SERVERS)
def fleet(
    request: pytest.FixtureRequest,
    docker_images: None,  # noqa: F811 - the fixture
    lxd_image: None,  # noqa: F811 - the fixture
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("methods")
    home = Path(f"/opt/kraken-fleet-test-{RUN}")
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(real_lab(folder, "methods", 1, driver="lxd", server=request.param))
        stack.enter_context(_engines_of_this_machine(lab, home))
        lab.fleet("bundle", "image", "--tag", AGENT_IMAGE, "--base", Recipe().image)
        stack.callback(subprocess.run, ["docker", "image", "rm", "--force", AGENT_IMAGE], capture_output=True)
        for name in CONTAINERS.values():
            stack.callback(subprocess.run, ["docker", "rm", "--force", name, f"{name}-new"], capture_output=True)
        server = yaml.safe_load((lab.directory / "hosts.yml").read_text())["kraken_agents"]["vars"]["kraken_server_url"]
        stack.enter_context(idle_image(tmp_path_factory.mktemp("idle")))
        project = stack.enter_context(running_project(folder / f"kfmx{RUN}", f"KRAKEN_SERVER_ADDR={server}\n"))
        made = Fleet(lab, folder / "agents.yml", home, {})
        made.want(_variables(home, folder, project))
        yield made


def _method(host: str) -> str:
    return "service" if host == "build-1" else host


def _jobs(client: KrakenClient, offered: dict[str, tuple[str, ...]]) -> dict[tuple[str, str], Job]:
    """Run a job on each method's agent through each executor, all at once; them when all are over."""
    wanted = [(method, executor) for method, executors in offered.items() for executor in executors]
    project = client.create_project(unique_name())
    branch = client.create_branch(project.id, "main")
    jobs = [_job(method, executor, with_tool=offered is OFFERED) for method, executor in wanted]
    stage = {"parent": "root", "triggers": {"parent": True}, "parameters": [], "configs": [], "jobs": jobs}
    client.create_stage(branch.id, "s", f"def stage(ctx):\n    return {stage!r}\n")
    flow = client.start_flow(branch.id)
    run = (flow.runs or eventually(lambda: client.flow_runs(flow.id)))[0].id
    over = eventually(
        lambda: client.run_jobs(run), lambda found: len(found) == len(jobs) and all(job.over for job in found), 240
    )
    by_name = {job.name: client.job(job.id) for job in over}
    return {each: by_name[" ".join(each)] for each in wanted}


def _has_printed(client: KrakenClient, job: Job, text: str) -> bool:
    """Tell whether a line of a job's steps has come: lines travel by UDP."""
    return any(line.message == text for line in client.job_log(job.id) if line.step is not None)


def _job(method: str, executor: str, *, with_tool: bool) -> dict[str, Any]:
    environment = {"system": SYSTEMS[executor], "agents_group": method, "config": "default", "executor": executor}
    steps = [
        {"tool": "shell", "cmd": f"echo ran {method} {executor}; test -e /run/kraken-fleet-none || cat /etc/hostname"},
        {"tool": "rndtest", "count": 2, "override_result": 1},
    ]
    steps = steps if with_tool else steps[:1]
    return {"name": f"{method} {executor}", "timeout": 240, "steps": steps, "environments": [environment]}


def _deployed_proven_and_removed(fleet: Fleet, offered: dict[str, tuple[str, ...]]) -> None:
    first = fleet.play("deploy-agents.yml")
    assert all(first.values()), first
    assert set(fleet.play("deploy-agents.yml").values()) == {0}

    with fleet.client() as client:
        for (method, executor), job in _jobs(client, offered).items():
            assert job.succeeded, (method, executor, job, client.job_log(job.id))
            eventually(partial(_has_printed, client, job, f"ran {method} {executor}"))

    removed = fleet.play("remove-agents.yml")
    assert all(removed.values()), removed
    assert set(fleet.play("remove-agents.yml").values()) == {0}
    assert {each.name for each in fleet.home.iterdir()} == set(SOCKETS)
    assert not (fleet.inventory.parent / "process").exists()
    for name in CONTAINERS.values():
        assert sh("docker", "ps", "--all", "--quiet", "--filter", f"name={name}") == ""
    assert fleet.lab.asked("agents", "list") == []


def test_each_method_runs_jobs_through_each_executor_and_goes_without_a_trace(fleet: Fleet) -> None:
    _deployed_proven_and_removed(fleet, OFFERED)


# What differs with another agent differs on the hosts: one server is enough.
@pytest.mark.parametrize("fleet", SERVERS[:1], indirect=True)
def test_each_method_brings_another_agent_that_runs_jobs_and_goes_without_a_trace(fleet: Fleet, tmp_path: Path) -> None:
    hosts = {name: fleet.hosts[name] | {"kraken_agent_image": OTHER_IMAGE} for name in (*CONTAINERS, "composed")}
    # It claims the address of its container, or of the interface that reaches the server.
    del hosts["on_host"]["kraken_agent_address"]
    hosts["on_host"]["kraken_agent_docker_socket"] = False  # it could run no Docker job from there
    address = NETWORK_SUBNET.replace(".0/24", ".9")
    hosts["on_bridge"].update(kraken_agent_container_network=NETWORK, kraken_agent_address=address)
    fleet.want({"build-1": stand_in_agent.bundle(tmp_path), **hosts})
    with contextlib.ExitStack() as stack:
        stack.enter_context(stand_in_agent.image(OTHER_IMAGE, Recipe().image))
        sh("docker", "network", "create", "--subnet", NETWORK_SUBNET, NETWORK)
        stack.callback(sh, "docker", "network", "rm", NETWORK)
        _deployed_proven_and_removed(fleet, OFFERED_BY_OTHER)
    (left,) = fleet.lab.on_hosts("ls -d /opt/kraken /etc/systemd/system/kraken* 2>/dev/null; true").values()
    assert left == ""
