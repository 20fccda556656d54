"""User data makes a systemd host an agent without SSH: its secret lets that host in, once, and no other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.real_lab import LabOptions, RealLab
from tests.e2e.user_data import await_discovered, start_with

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

LAB = LabOptions("cloud", "cloud", hosts=2)
NONCE = re.compile(r"'%s\\n' ([0-9a-f]{64}) >")


def test_a_machine_with_user_data_becomes_an_agent_and_its_secret_counts_once(
    lab: RealLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    address, others_address = lab.addresses()
    inventory = ["-i", str(lab.directory / "hosts.yml")]
    host, other = [each["host"]["name"] for each in lab.asked("lab", "status", *lab.named())["hosts"]]

    script = lab.fleet("cloud-init", *inventory, host)
    start_with(lab, host, script)
    kept = subprocess.run(
        ["docker", "exec", lab.container(host), "stat", "-c", "%a %U", "/opt/kraken/nonce"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert kept.stdout.split() == ["600", "kraken"]
    await_discovered(lab, address)
    assert f"attested: it reported the secret of {host}" in lab.fleet("apply", *inventory)
    (agent,) = lab.asked("agents", "list")
    assert (agent["address"], agent["authorized"], agent["disabled"]) == (address, True, False)
    (memory,) = tmp_path.glob("kraken-fleet/nonces/*.json")
    assert '"nonces": []' in memory.read_text()

    # Somebody has got hold of the first secret, and brings it on another machine.
    script_of_other = lab.fleet("cloud-init", *inventory, other)
    start_with(lab, other, NONCE.sub(lambda _: f"'%s\\n' {secret_in(script)} >", script_of_other))
    await_discovered(lab, others_address)
    refused = lab.attempt("apply", *inventory)
    assert refused.returncode != 0
    assert f"the agent that claims {others_address} is not the one on {other}" in refused.stdout + refused.stderr
    authorized = {one["address"]: one["authorized"] for one in lab.asked("agents", "list")}
    assert authorized == {address: True}
    assert secret_in(script) not in refused.stdout + refused.stderr


def secret_in(script: str) -> str:
    (secret,) = NONCE.findall(script)
    return str(secret)
