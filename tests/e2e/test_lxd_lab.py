"""Lab hosts in LXD: the same as in Docker, made through pylxd; agents on them, and nothing left."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.lab.systemd_hosts import LABEL

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.real_lab import PROGRAMS, RealLab, real_lab

pytestmark = [pytest.mark.lxd, pytest.mark.slow, pytest.mark.timeout(900)]
HOSTS = ("build-1", "build-2")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLab]:
    """Two hosts and the embedded server; nothing is left of them afterwards."""
    with real_lab(tmp_path_factory.mktemp("it's a lab"), "hosts", len(HOSTS), driver="lxd") as made:
        yield made
    assert _instances(made) == []
    assert _networks(made) == []


def _lxd(path: str) -> Any:
    done = subprocess.run(["lxc", "query", path], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _instances(lab: RealLab) -> list[dict[str, Any]]:
    return [each for each in _lxd("/1.0/instances?recursion=1") if each["config"].get(f"user.{LABEL}") == _mark(lab)]


def _networks(lab: RealLab) -> list[dict[str, Any]]:
    return [each for each in _lxd("/1.0/networks?recursion=1") if each["config"].get(f"user.{LABEL}") == _mark(lab)]


def _mark(lab: RealLab) -> str:
    return str(lab.directory.resolve())


def test_each_host_is_a_booted_debian_with_an_address_of_its_own_on_the_labs_network(lab: RealLab) -> None:
    addresses = lab.addresses()
    assert len(set(addresses)) == len(HOSTS)
    (network,) = _networks(lab)
    subnet = ipaddress.ip_network(network["config"]["ipv4.address"], strict=False)
    assert all(ipaddress.ip_address(each) in subnet for each in addresses)
    assert set(lab.on_hosts("systemctl is-system-running --wait").values()) == {"running"}
    assert lab.on_hosts("hostname") == {name: name for name in HOSTS}


def test_a_host_is_known_by_its_own_key_and_answers_only_to_the_labs(lab: RealLab) -> None:
    known = lab.known_hosts.read_text()
    public = lab.on_hosts("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    addresses = dict(zip(HOSTS, lab.addresses(), strict=True))
    assert all(f"{addresses[name]} {public[name]}\n" in known for name in HOSTS)
    assert lab.log_in(HOSTS[0]).returncode == 0
    refused = lab.log_in(HOSTS[0], "-o", "IdentityFile=none", "-o", "BatchMode=yes", own_key=False)
    assert refused.returncode == 255
    assert "Permission denied (publickey" in refused.stderr


def test_agents_are_deployed_and_a_second_deploy_changes_nothing(lab: RealLab) -> None:
    first = lab.play("deploy-agents.yml")
    assert first.code == 0, first.output
    assert all(first.changed.values())
    status = lab.asked("lab", "status", *lab.named())["hosts"]
    assert [each["running"] for each in status] == [True, True]
    assert [{group["name"] for group in each["agent"]["groups"]} for each in status] == [{"all", "build"}] * 2
    second = lab.play("deploy-agents.yml")
    assert second.code == 0, second.output
    assert second.changed == dict.fromkeys(HOSTS, 0)


def test_a_host_that_does_not_run_is_said_not_to(lab: RealLab) -> None:
    (instance,) = [each for each in _instances(lab) if each["name"].endswith("build-2")]
    subprocess.run(["lxc", "pause", instance["name"]], check=True)
    try:
        status = lab.asked("lab", "status", *lab.named())["hosts"]
    finally:
        subprocess.run(["lxc", "start", instance["name"]], check=True)
    assert [each["running"] for each in status] == [True, False]


def test_what_an_interrupted_lab_has_made_is_removed_and_other_labs_stay(lab: RealLab, tmp_path: Path) -> None:
    images = _lxd("/1.0/images")
    cut = RealLab(tmp_path, "hosts")
    command = [str(PROGRAMS / "kraken-fleet"), "lab", "up", "--driver", "lxd", "--hosts", "2", *cut.named()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not _instances(cut) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert _instances(cut)
    cut.down()
    assert _instances(cut) == []
    assert _networks(cut) == []
    assert not cut.directory.exists()
    assert _lxd("/1.0/images") == images
    assert len(_instances(lab)) == len(HOSTS)
    cut.down()  # and once more
