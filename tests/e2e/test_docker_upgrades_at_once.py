"""Several controllers upgrade one fleet at once, and one of them is killed: on eight systemd hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kraken_fleet.api import KrakenClient, PasswordCredentials, read_secret
from tests.e2e import upgrades_at_once
from tests.e2e.real_lab import LabOptions, RealLab

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]

LAB = LabOptions("at-once", "at-once", hosts=8)


def test_four_controllers_keep_the_budget_and_one_more_run_heals_what_a_kill_left(lab: RealLab, tmp_path: Path) -> None:
    groups = ("-e", f'{{"kraken_agent_groups": ["{upgrades_at_once.GROUP}"]}}')
    done = lab.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false", *groups)
    assert done.code == 0, done.output
    status = lab.asked("lab", "status", *lab.named())
    containers = {each["host"]["name"]: lab.container(each["host"]["name"]) for each in status["hosts"]}

    def is_upgraded(host: str) -> bool:
        link = ["docker", "exec", containers[host], "readlink", "/opt/kraken/current"]
        return subprocess.run(link, capture_output=True, text=True, check=True).stdout.startswith("versions/2.0-")

    def prepared(playbook: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        return lab.prepared(playbook, *groups, "-e", "kraken_agent_bundle_version=2.0", *arguments)

    credentials = PasswordCredentials("admin", read_secret(lab.directory / "admin-password"))
    with KrakenClient(status["server_url"], credentials) as client:
        addresses = {each["host"]["name"]: each["host"]["address"] for each in status["hosts"]}
        fleet = upgrades_at_once.Fleet(client, addresses, prepared, is_upgraded, tmp_path)
        upgrades_at_once.upgraded_at_once(fleet, by_hand=list(addresses)[-1])
