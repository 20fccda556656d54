"""What a cloud does with the user data of a machine, done to a host of a lab."""

from __future__ import annotations

import subprocess

from tests.e2e.real_lab import RealLab
from tests.waiting import until


def start_with(lab: RealLab, host: str, script: str) -> None:
    """Do what cloud-init does with user data at the first start of a machine."""
    done = subprocess.run(
        ["docker", "exec", "-i", lab.container(host), "sh", "-s"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the agent is installed" in done.stdout


def await_discovered(lab: RealLab, address: str) -> None:
    until(lambda: address in {one["address"] for one in lab.asked("discovered", "list")}, otherwise="it did not come")
