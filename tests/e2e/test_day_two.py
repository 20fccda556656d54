"""What an operator does to a fleet in service, with the program as people have it, on hosts with real agents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.model import Agent
from tests.e2e.loopback_fleet import ROOT, Fleet
from tests.e2e.upgrade_helpers import start_long_job
from tests.unique_names import unique_name
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

NewFleet = Callable[..., Fleet]


def _environment(fleet: Fleet) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KRAKEN_"))}
    places = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agent")]),
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    return {**kept, **places, "KRAKEN_FLEET_STATE_DIR": str(fleet.directory / "state")}


def _command(fleet: Fleet, *words: str) -> list[str]:
    program = [sys.executable, "-m", "kraken_fleet.cli.main"]
    return [*program, *words, "-i", str(fleet.directory / "inventory")]


def _run(fleet: Fleet, *words: str, code: int = 0) -> Any:
    """The data of a command's answer."""
    done = subprocess.run(
        _command(fleet, *words, "--json"), env=_environment(fleet), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    return answer["data"] if answer["ok"] else answer["error"]


def _agent(fleet: Fleet, name: str) -> Agent:
    return fleet.agents()[fleet.host(name)["kraken_agent_address"]]


def test_a_drain_with_a_note_ends_its_job_is_shown_and_given_back_in_time(new_fleet: NewFleet) -> None:
    fleet, group = new_fleet("one", "two"), unique_name("shop")
    fleet.host("one")["kraken_agent_groups"] = [group]
    deployed = fleet.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false")
    assert deployed.code == 0, deployed.text
    with fleet.client() as client:
        run = start_long_job(client, group, seconds=1500)
        still = _run(fleet, "agents", "drain", "one", "--wait", "1", "--note", "a new disk", code=3)
        assert "still runs a job" in next(iter(still["failures"].values()))
        (job,) = client.run_jobs(run)
        assert _run(fleet, "jobs", "cancel", str(job.id), "--yes", "--wait", "60")[0]["state"] == "over"
    label = f"one ({_agent(fleet, 'one').address})"
    drained = _run(fleet, "agents", "drain", group, "--note", "a new disk", "--until", "90s", "--wait", "60")
    assert drained == [{"subject": label, "state": "drained"}]
    (listed,) = [one for one in _run(fleet, "agents", "list") if one["host"] == "one"]
    assert listed["disabling"]["note"] == "a new disk"
    (finding,) = [one for one in _run(fleet, "plan")["findings"] if one["kind"] == "disabled"]
    assert finding["subject"] == "one"
    assert "a new disk" in finding["message"]
    watching = _command(fleet, "reconcile", "--watch", "--interval", "600")
    log = Path(fleet.directory / "watch.log")
    with log.open("w") as output:
        process = subprocess.Popen(watching, env=_environment(fleet), stdout=output, stderr=output)
        try:
            eventually(lambda: _agent(fleet, "one").enabled, bool, 200)
        finally:
            process.terminate()
            process.wait(100)
    assert "a new disk" in log.read_text()
    assert _agent(fleet, "one").disabling is None
    assert _agent(fleet, "two").enabled
