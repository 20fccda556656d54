"""Lab hosts in Docker: real systemd and sshd, addresses of their own, checked host keys, and nothing left."""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kraken_fleet.lab.systemd_hosts import LABEL

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.real_lab import PROGRAMS, LabOptions, RealLab, real_lab

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]


# The directory has a name that is not simple.
LAB = LabOptions("it's a lab")


def _docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()


def _left(lab: RealLab) -> list[str]:
    label = f"label={LABEL}={lab.directory.resolve()}"
    return _docker("ps", "-aq", "--filter", label) + _docker("network", "ls", "-q", "--filter", label)


def test_each_host_is_a_booted_debian_with_an_address_of_its_own_on_the_labs_network(lab: RealLab) -> None:
    addresses = lab.addresses()
    assert len(set(addresses)) == 2
    (network,) = _docker("network", "ls", "-q", "--filter", f"label={LABEL}={lab.directory.resolve()}")
    (subnet,) = _docker("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", network)
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network(subnet) for each in addresses)
    assert set(lab.on_hosts("systemctl is-system-running --wait").values()) == {"running"}
    assert lab.on_hosts("hostname") == {"build-1": "build-1", "build-2": "build-2"}


def test_what_runs_on_a_host_stays_out_of_the_control_groups_of_this_machine(lab: RealLab) -> None:
    inside = lab.on_hosts("grep -E ':name=systemd:|^0::' /proc/$(pidof -s systemd-journald)/cgroup | tail -1")
    assert all("system.slice/systemd-journald.service" in line and ".." not in line for line in inside.values())
    assert len(inside) == 2


def test_the_hosts_reach_the_labs_server(lab: RealLab) -> None:
    url = lab.asked("lab", "status", *lab.named())["server_url"]
    fetch = f"python3 -c \"import urllib.request as u; print(u.urlopen('{url}/install/agent').status)\""
    assert set(lab.on_hosts(fetch).values()) == {"200"}


def test_a_host_whose_key_is_not_the_known_one_is_refused(lab: RealLab) -> None:
    known = lab.known_hosts
    before = known.read_text()
    first, second = lab.addresses()
    assert lab.log_in("build-2").returncode == 0
    foreign = [line.replace(first, second) for line in before.splitlines(keepends=True) if line.startswith(first)]
    known.write_text("".join(foreign))
    try:
        refused = lab.log_in("build-2")
    finally:
        known.write_text(before)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_a_host_answers_only_to_the_labs_key(lab: RealLab) -> None:
    refused = lab.log_in("build-1", "-o", "IdentityFile=none", "-o", "BatchMode=yes", own_key=False)
    assert refused.returncode == 255
    assert "Permission denied (publickey" in refused.stderr


def test_another_lab_uses_the_same_image_and_its_end_leaves_this_one_alone(lab: RealLab, tmp_path: Path) -> None:
    images = _docker("images", "-q", "kraken-fleet/lab-host")
    with real_lab(tmp_path, "hosts", 1) as other:
        assert _docker("images", "-q", "kraken-fleet/lab-host") == images
    assert _left(other) == []
    assert set(lab.on_hosts("echo here")) == {"build-1", "build-2"}


def test_what_an_interrupted_lab_has_made_is_removed(tmp_path: Path) -> None:
    lab = RealLab(tmp_path, "cut")
    command = [str(PROGRAMS / "kraken-fleet"), "lab", "up", "--driver", "docker", "--hosts", "4", *lab.named()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(_left(lab)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert _left(lab)
    lab.down()
    assert _left(lab) == []
    assert not lab.directory.exists()


def test_a_bare_host_has_no_python(tmp_path: Path) -> None:
    with real_lab(tmp_path, "bare", 1, driver="docker:bookworm-bare") as lab:
        (container,) = _docker("ps", "-q", "--filter", f"label={LABEL}={lab.directory.resolve()}")
        done = subprocess.run(["docker", "exec", container, "python3", "-V"], capture_output=True, check=False)
        assert done.returncode in (126, 127)
