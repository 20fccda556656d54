"""`reconcile` against a real embedded server, once and with `--watch`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kraken_fleet.api import KrakenClient
from tests.unit.cli.planned_fleet import INVENTORY, Run


def test_reconcile_tells_programs_one_event_a_line(client: KrakenClient, inventory: str, run: Run) -> None:
    code, out, _ = run("reconcile", "-i", inventory, "--json")
    events: list[Any] = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [events[0]["event"], events[-1]["event"]] == ["planned", "finished"]
    assert sum(event["event"] == "done" for event in events) == events[-1]["done"]


def _until(process: subprocess.Popen[str], kind: str) -> list[Any]:
    """The events up to the next one of this kind."""
    assert process.stdout
    events: list[Any] = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == kind:
            break
    return events


def test_a_watch_undoes_changes_rereads_the_inventory_and_ends_when_interrupted(
    client: KrakenClient, inventory: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "kraken_fleet.cli.main", "reconcile", "-i", inventory, "--watch", "--json"]
    command += ["--interval", "1"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        try:
            first = _until(process, "sleeping")
            assert sum(event["event"] == "done" for event in first) > 0
            assert 0.9 <= first[-1]["seconds"] <= 1.1
            (agent,) = [agent for agent in client.agents() if agent.address == "127.0.0.21"]
            client.set_agent_groups(agent.id, [1])
            (tmp_path / "hosts.yml").write_text(INVENTORY.replace("linux", "unix"))
            deadline = time.monotonic() + 60
            while "unix" not in client.agent(agent.id).group_names and time.monotonic() < deadline:
                _until(process, "sleeping")
            assert "unix" in client.agent(agent.id).group_names
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(100) == 130
