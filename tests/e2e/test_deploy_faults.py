"""Faults during a deploy to real hosts: the play names host and cause, the others finish, a second run heals."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml

from kraken_fleet.lab import processes
from kraken_fleet.lab.server import start_server
from kraken_fleet.lab.state import LabState, lab_paths
from tests.e2e.real_lab import LabOptions, RealLab, Recap

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

DEPLOY = "deploy-agents.yml"
# Proofs and registration are other tests' subject; these are about hosts.
HOSTS_ONLY = ("--tags", "agent")
BARE = (
    "systemctl disable --now kraken-agent 2>/dev/null; umount /opt 2>/dev/null; rm -rf /opt/kraken; "
    "rm -f /etc/systemd/system/kraken-agent.service; systemctl daemon-reload; userdel kraken 2>/dev/null; true"
)
SICK, WELL = "build-1", "build-2"


LAB = LabOptions("faults", "faults")


class Server:
    """The lab's server, which can be stopped and come up again with its data, where it was."""

    def __init__(self, lab: RealLab) -> None:
        self._paths = lab_paths(lab.parent, lab.name)
        state = LabState.load(self._paths)
        assert state
        self.url = state.server_url
        self._process = state.server

    def stop(self) -> None:
        assert self._process
        assert self._process.alive
        processes.stop([self._process])

    def start(self) -> None:
        assert self._process
        if not self._process.alive:
            place = urlsplit(self.url)
            self._process, _ = start_server(self._paths, str(place.hostname), place.port or 0)


@pytest.fixture
def server(lab: RealLab) -> Iterator[Server]:
    """It runs again after the test."""
    found = Server(lab)
    yield found
    found.start()


@pytest.fixture
def lab(lab: RealLab) -> RealLab:
    """Two hosts without anything of an agent."""
    for host in (SICK, WELL):
        on(lab, host, BARE)
    return lab


def on(lab: RealLab, host: str, script: str, *, wait: bool = True) -> None:
    """Runs a script on a host through the engine, which works also when SSH does not."""
    flags = [] if wait else ["--detach"]
    subprocess.run(["docker", "exec", *flags, lab.container(host), "sh", "-c", script], check=wait)


def running(lab: RealLab, host: str) -> bool:
    check = ["docker", "exec", lab.container(host), "systemctl", "is-active", "--quiet", "kraken-agent"]
    return subprocess.run(check, check=False).returncode == 0


def assert_only_the_sick_one_failed(lab: RealLab, recap: Recap, *causes: str) -> None:
    assert recap.code != 0
    assert recap.failed[SICK] + recap.unreachable[SICK] == 1, recap.output
    assert recap.failed[WELL] + recap.unreachable[WELL] == 0, recap.output
    assert running(lab, WELL)
    told = "\n".join(line for line in recap.output.splitlines() if SICK in line or "ERROR" in line)
    for cause in causes:
        assert cause.lower() in told.lower(), recap.output


def assert_healed(lab: RealLab, *, may_be_whole: bool = False) -> None:
    """A second run heals; a host whose connection was cut may have gone on by itself."""
    recap = lab.play(DEPLOY, *HOSTS_ONLY)
    assert recap.code == 0, recap.output
    assert recap.changed[SICK] > 0 or may_be_whole, recap.output
    assert recap.changed[WELL] == 0, recap.output
    assert running(lab, SICK)


def test_a_python_that_is_too_old(lab: RealLab) -> None:
    # What an old Python says to the program that asks it, which ends it with 1.
    says = "kraken-fleet: python=3.7.3 /usr/bin/python3"
    old = f"printf '#!/bin/sh\\necho {says}\\nexit 1\\n' >/usr/bin/python3; chmod 755 /usr/bin/python3"
    on(lab, SICK, f"mv /usr/bin/python3 /usr/bin/python3.away; {old}")
    try:
        given = json.dumps({"kraken_prereqs_install": False})
        recap = lab.play(DEPLOY, *HOSTS_ONLY, "-e", given)
    finally:
        on(lab, SICK, "mv /usr/bin/python3.away /usr/bin/python3")
    assert_only_the_sick_one_failed(
        lab, recap, "only Python 3.7.3", "need Python 3.8 or newer", "kraken_prereqs_install"
    )
    assert_healed(lab)


def test_a_host_that_is_down(lab: RealLab) -> None:
    # Frozen whole: as from outside a host is that hangs or has lost its power.
    name = lab.container(SICK)
    subprocess.run(["docker", "pause", name], check=True, capture_output=True)
    try:
        assert_only_the_sick_one_failed(lab, lab.play(DEPLOY, *HOSTS_ONLY), "unreachable")
    finally:
        subprocess.run(["docker", "unpause", name], check=True, capture_output=True)
    assert_healed(lab)


def test_sshd_is_cut_in_the_middle_of_the_deploy(lab: RealLab) -> None:
    # As soon as the agent's directory is there, the host can no longer be talked to.
    cut = "until [ -d /opt/kraken ]; do sleep 0.01; done; systemctl stop ssh; pkill -9 -f 'sshd: root'"
    on(lab, SICK, cut, wait=False)
    assert_only_the_sick_one_failed(lab, lab.play(DEPLOY, *HOSTS_ONLY), "unreachable")
    on(lab, SICK, "systemctl start ssh")
    assert_healed(lab, may_be_whole=True)


def test_the_disk_is_full(lab: RealLab) -> None:
    on(lab, SICK, "mount -t tmpfs -o size=64k tmpfs /opt")
    assert_only_the_sick_one_failed(lab, lab.play(DEPLOY, *HOSTS_ONLY), "0 MiB free at /opt")
    unchecked = lab.play(DEPLOY, *HOSTS_ONLY, "-e", "kraken_prereqs_preflight=false")
    assert_only_the_sick_one_failed(lab, unchecked, "No space left on device")
    on(lab, SICK, "umount /opt")
    assert_healed(lab)


def test_a_wrong_checksum(lab: RealLab) -> None:
    extra = lab.parent / "extra.yml"
    wrong = {"kraken_agent_bundle_sha256": {"kkagent": "0" * 64}}
    extra.write_text(yaml.safe_dump({"kraken_agents": {"hosts": {SICK: wrong}}}))
    inventories = ("-i", str(lab.directory / "hosts.yml"), "-i", str(extra))
    assert_only_the_sick_one_failed(lab, lab.play(DEPLOY, *HOSTS_ONLY, *inventories), "sha256")
    assert_healed(lab)


def test_another_installation_holds_the_lock_of_apt(lab: RealLab) -> None:
    on(lab, SICK, "mv /usr/bin/git /usr/bin/git.away")
    # dpkg's locks are those of fcntl, which the program flock does not know.
    hold = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, 2); time.sleep(600)"
    on(lab, SICK, f'exec python3 -c "{hold}"', wait=False)
    try:
        given = json.dumps({"kraken_prereqs_lock_timeout": 3})
        assert_only_the_sick_one_failed(lab, lab.play(DEPLOY, *HOSTS_ONLY, "-e", given), "lock")
    finally:
        on(lab, SICK, "pkill -f 'lock-fronten[d]'; mv /usr/bin/git.away /usr/bin/git")
    assert_healed(lab)


def test_the_server_is_stopped_between_deploy_and_registration(lab: RealLab, server: Server) -> None:
    deployed = lab.play(DEPLOY, *HOSTS_ONLY)
    assert deployed.code == 0, deployed.output
    server.stop()
    recap = lab.play(DEPLOY, "--tags", "registration,verify")
    assert recap.code != 0
    assert f"{server.url}/" in recap.output, recap.output
    assert running(lab, SICK)
    assert running(lab, WELL)
    server.start()
    healed = lab.play(DEPLOY)
    assert healed.code == 0, healed.output
    assert {agent["address"] for agent in lab.asked("agents", "list")} == {
        host["ansible_host"]
        for host in yaml.safe_load((lab.directory / "hosts.yml").read_text())["kraken_agents"]["hosts"].values()
    }
