"""Every way to install an agent, on systemd hosts and a Docker engine, against the unmodified Kraken server."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from kraken_fleet.lab.host_image import Recipe
from tests.background import serving

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e import compose_project
from tests.e2e.real_lab import RealLab, Recap, real_lab

pytestmark = [pytest.mark.docker, pytest.mark.real_server, pytest.mark.slow, pytest.mark.timeout(1800)]

IMAGE = f"kraken-fleet-test/kkagent:0.0.{compose_project.RUN}"
CONTAINER = f"kraken-agent-methods-{compose_project.RUN}"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "kraken_become": False}

# What upstream's kkagent leaves when somebody has run the script by hand (kraken/agent/install.py, 1.7.36).
BY_HAND = r"""
set -e
useradd kraken -d /opt/kraken -m -s /bin/bash -G sudo
echo "kraken ALL = NOPASSWD: ALL" > /etc/sudoers.d/kraken
mkdir -p /opt/kraken/1.7.36 /opt/kraken/data
printf "#!/bin/sh\nexec sleep 3600\n" > /opt/kraken/1.7.36/kkagent
cp /opt/kraken/1.7.36/kkagent /opt/kraken/1.7.36/kktool
chmod 777 /opt/kraken/1.7.36/*
ln -s /opt/kraken/1.7.36/kkagent /opt/kraken/1.7.36/kktool /opt/kraken/
echo KRAKEN_SERVER_ADDR=http://192.0.2.1:6363 > /opt/kraken/kraken.env
chown -R kraken:kraken /opt/kraken
printf "[Service]\nUser=kraken\nExecStart=/opt/kraken/kkagent run\n[Install]\nWantedBy=multi-user.target\n" \
  > /lib/systemd/system/kraken-agent.service
systemctl daemon-reload
systemctl enable --quiet --now kraken-agent.service
"""
LEFT_BY_UPSTREAM = (
    "ls -d /opt/kraken/kk* /opt/kraken/1.7.36 /lib/systemd/system/kraken-agent.service /etc/sudoers.d/kraken"
    " 2>/dev/null; true"
)
LEFT = (
    "ls -d /opt/kraken /etc/systemd/system/kraken* /lib/systemd/system/kraken* /etc/sudoers.d/kraken*"
    " 2>/dev/null; getent passwd kraken; true"
)
STATE = (
    "systemctl is-active kraken-agent; systemctl is-enabled kraken-agent; readlink /opt/kraken/current;"
    " stat -c %U:%a /opt/kraken /opt/kraken/versions /opt/kraken/data;"
    " sha256sum < /etc/systemd/system/kraken-agent.service"
)


@dataclass
class MethodsLab:
    """A lab with a host for each method.

    Args:
        variables: of the hosts, by name; tests change them before they play.
        bundles: a directory with kkagent and kktool, the one that the server serves.
        project: the compose file of the stand-in that has the server's services.
    """

    lab: RealLab
    variables: dict[str, dict[str, Any]]
    bundles: Path
    project: Path

    def play(self, playbook: str, *arguments: str) -> Recap:
        extra = self.lab.parent / "methods.yml"
        names = {f"kraken_group_{name.replace('-', '_')}": name for name in self.variables}
        groups: dict[str, Any] = {group: {"hosts": {name: {}}} for group, name in names.items()}
        agents = {"hosts": self.variables, "vars": {"kraken_agent_drain_seconds": 5}}
        extra.write_text(yaml.safe_dump({"kraken_agents": agents, **groups}))
        return self.lab.play(playbook, "-i", str(self.lab.directory / "hosts.yml"), "-i", str(extra), *arguments)

    def changed_twice(self, *arguments: str) -> tuple[dict[str, int], dict[str, int], str]:
        """What two deploys have changed, and what the first has said."""
        first, second = (self.play("deploy-agents.yml", *arguments) for _ in range(2))
        assert first.code == 0, first.output
        assert second.code == 0, second.output
        return first.changed, second.changed, first.output


@contextmanager
def engine_left_clean() -> Iterator[None]:
    """Removes what the method docker leaves on this machine's engine."""
    try:
        yield
    finally:
        for rest in (["rm", "--force", CONTAINER, f"{CONTAINER}-new"], ["image", "rm", "--force", IMAGE]):
            subprocess.run(["docker", *rest], capture_output=True, check=False)


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MethodsLab]:
    """Two bare hosts, this machine's engine, and the server; nothing is left of them afterwards."""
    folder = tmp_path_factory.mktemp("methods")
    with real_lab(folder, "methods", 2, server="krakenci") as lab, engine_left_clean():
        lab.fleet("bundle", "image", "--tag", IMAGE, "--base", Recipe().image)
        status = lab.asked("lab", "status", "--name", lab.name, "--dir", str(lab.parent))
        first, second = (each["host"]["name"] for each in status["hosts"])
        server = yaml.safe_load((lab.directory / "hosts.yml").read_text())["kraken_agents"]["vars"]["kraken_server_url"]
        with (
            compose_project.idle_image(tmp_path_factory.mktemp("idle")),
            compose_project.running_project(
                folder / f"kfmethods{compose_project.RUN}", f"KRAKEN_SERVER_ADDR={server}\n"
            ) as project,
        ):
            variables = {
                first: {"kraken_agent_install_method": "script"},
                second: {"kraken_agent_install_method": "script"},
                "engine": {
                    **LOCAL,
                    "kraken_agent_install_method": "docker",
                    "kraken_agent_image": IMAGE,
                    "kraken_agent_unit": CONTAINER,
                    "kraken_agent_docker_socket": True,
                    "kraken_agent_address": urlsplit(server).hostname,
                },
                "beside": {
                    **LOCAL,
                    "kraken_agent_install_method": "compose",
                    "kraken_compose_file": str(project),
                    "kraken_compose_subnet": compose_project.SUBNET,
                    "kraken_compose_recreate_network": True,
                    "kraken_agent_image": IMAGE,
                    "kraken_agent_instances": [
                        {"name": "agent1", "address": compose_project.FIRST},
                        {"name": "agent2", "address": compose_project.SECOND},
                    ],
                },
            }
            yield MethodsLab(lab, variables, lab.directory / "bundles", project)


def _hosts(methods: MethodsLab) -> list[str]:
    return [name for name in methods.variables if name not in ("engine", "beside")]


def test_the_script_is_refused_where_it_could_not_run(methods: MethodsLab) -> None:
    bare = _hosts(methods)[0]
    played = methods.play("deploy-agents.yml", "--tags", "agent", "--limit", bare)
    assert played.failed == {bare: 1}
    assert "kraken-agent-install.sh needs curl or wget" in played.output
    assert methods.lab.on_hosts("ls -A /opt", bare) == {bare: ""}


def test_every_method_gives_agents_that_work_and_a_second_deploy_changes_nothing(methods: MethodsLab) -> None:
    scripted, by_hand = _hosts(methods)
    sudoers = methods.lab.on_hosts("sha256sum /etc/sudoers", scripted)
    methods.lab.on_hosts("apt-get update -qq && apt-get install -y -qq --no-install-recommends curl", scripted)
    encoded = base64.b64encode(BY_HAND.encode()).decode()  # for two shells on its way
    methods.lab.on_hosts(f"echo {encoded} | base64 -d | bash", by_hand)
    assert "kkagent" in methods.lab.on_hosts(LEFT_BY_UPSTREAM, by_hand)[by_hand]

    first, second, output = methods.changed_twice()
    assert all(first[name] for name in methods.variables), output
    assert second == dict.fromkeys(methods.variables, 0)

    units = methods.lab.on_hosts(STATE)
    assert len(set(units.values())) == 1, units
    assert "active" in units[scripted]
    assert set(methods.lab.on_hosts(LEFT_BY_UPSTREAM).values()) == {""}
    assert methods.lab.on_hosts("sha256sum /etc/sudoers", scripted) == sudoers
    assert set(compose_project.containers(methods.project)) == {*compose_project.SERVICES, "agent1", "agent2"}
    groups = {
        agent["address"]: {group["name"] for group in agent["groups"]} for agent in methods.lab.asked("agents", "list")
    }
    assert groups[compose_project.FIRST] == groups[compose_project.SECOND] == {"all", "beside"}
    assert groups[methods.variables["engine"]["kraken_agent_address"]] == {"all", "engine"}


def test_binaries_come_from_a_path_a_url_and_the_server_in_both_ways(methods: MethodsLab) -> None:
    one, other = _hosts(methods)
    sums = {name: hashlib.sha256((methods.bundles / name).read_bytes()).hexdigest() for name in ("kkagent", "kktool")}
    agents = ["--tags", "agent", "--limit", f"{one},{other}"]
    known = {"kraken_agent_install_method": "binaries", "kraken_agent_bundle_sha256": sums}
    gateway = methods.variables["engine"]["kraken_agent_address"]
    handler = partial(SimpleHTTPRequestHandler, directory=str(methods.bundles))
    with serving(ThreadingHTTPServer((gateway, 0), handler)) as server:
        url = f"http://{gateway}:{server.server_port}"
        methods.variables[one] = {
            **known,
            "kraken_agent_bundle": str(methods.bundles),
            "kraken_agent_bundle_version": "path",
        }
        methods.variables[other] = {**known, "kraken_agent_bundle_url": url, "kraken_agent_bundle_version": "url"}
        first, second, _output = methods.changed_twice(*agents)
    assert (first, second) == ({one: 1, other: 1}, {one: 0, other: 0})
    releases = methods.lab.on_hosts("readlink /opt/kraken/current", f"{one},{other}")
    assert releases[one].startswith("versions/path-")
    assert releases[other].startswith("versions/url-")

    for name, download in ((one, "host"), (other, "controller")):
        methods.variables[name] = {
            "kraken_agent_source": "server",
            "kraken_agent_download": download,
            "kraken_agent_bundle_version": download,
        }
    first, second, _output = methods.changed_twice(*agents)
    assert (first, second) == ({one: 1, other: 1}, {one: 0, other: 0})
    releases = methods.lab.on_hosts("readlink /opt/kraken/current", f"{one},{other}")
    assert releases[one].startswith("versions/host-")
    assert releases[other].startswith("versions/controller-")
    assert set(methods.lab.on_hosts("systemctl is-active kraken-agent", f"{one},{other}").values()) == {"active"}


def test_every_method_can_be_undone(methods: MethodsLab) -> None:
    for name in _hosts(methods):
        methods.variables[name] = {"kraken_agent_install_method": "script"}
    removed = methods.play("remove-agents.yml")
    assert removed.code == 0, removed.output
    assert all(removed.changed[name] for name in methods.variables)
    assert methods.lab.asked("agents", "list") == []
    assert set(methods.lab.on_hosts(LEFT).values()) == {""}
    assert set(compose_project.containers(methods.project)) == compose_project.SERVICES
    assert not methods.project.with_name(compose_project.OVERRIDE).exists()
    assert compose_project.sh("docker", "ps", "--all", "--quiet", "--filter", f"name={CONTAINER}") == ""
    again = methods.play("remove-agents.yml")
    assert (again.code, again.changed) == (0, dict.fromkeys(methods.variables, 0)), again.output


def test_an_image_is_not_built_on_what_only_a_registry_has(methods: MethodsLab) -> None:
    done = methods.lab.attempt("bundle", "image", "--tag", IMAGE, "--base", "kraken-fleet-test/nowhere:1")
    assert done.returncode == 1
    assert "There is no image kraken-fleet-test/nowhere:1 on this machine" in done.stderr
