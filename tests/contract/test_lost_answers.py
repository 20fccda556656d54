"""A real agent whose server hears everything, and half of whose answers are lost: everything is heard once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.lossy_proxy import lossy_proxy
from tests.contract.workflow import Workflow
from tests.waiting import eventually

AGENT = Path(__file__).parents[2] / "agent"
COMPLETED = 5


def kind(message: dict[str, Any]) -> str:
    """What a message does, as far as it must not be done twice; empty for others."""
    result = message.get("result") or {}
    if message["msg"] == "dispatch-tests":
        return "dispatch"
    if result.get("status") in ("done", "error"):
        return f"end of step {message['step_idx']}"
    return "test results" if "test-results" in result else ""


@pytest.mark.timeout(240)
def test_what_the_server_has_heard_is_not_said_again_when_its_answer_was_lost(
    server: KrakenServer, tmp_path: Path
) -> None:
    workflow = Workflow.made(server)
    run_id = workflow.run([{"tool": "rndtest", "count": 4}, {"tool": "shell", "cmd": "echo after"}])
    told: Counter[str] = Counter()

    def loses(message: dict[str, Any]) -> bool:
        told[kind(message)] += 1
        return bool(kind(message)) and told[kind(message)] == 1

    with lossy_proxy(server.url, loses) as proxy:
        settings = {"KRAKEN_SERVER_ADDR": proxy.url, "KRAKEN_AGENT_ADDRESS": workflow.address}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
        environment = {**kept, **settings, "KRAKEN_DATA_DIR": str(tmp_path), "PYTHONPATH": str(AGENT)}
        command = [sys.executable, "-m", "kraken_agent", "run", "--one-job"]
        done = subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert {kind(message) for message in proxy.lost} == {
            "dispatch",
            "test results",
            "end of step 0",
            "end of step 1",
        }
        times = Counter(kind(message) for message in proxy.heard)
        repeated = [name for name, count in times.items() if name and count > 1]
        assert repeated == [], done.stderr
        dispatched = next(message["tests"] for message in proxy.heard if kind(message) == "dispatch")
        reported = [
            test["test"] for message in proxy.heard for test in message.get("result", {}).get("test-results", ())
        ]
        assert sorted(reported) == sorted(dispatched)
    (job,) = server.api("GET", f"/runs/{run_id}/jobs").body["items"]
    over = eventually(lambda: workflow.job(job["id"]), lambda found: found["state"] == COMPLETED)
    assert [step["status"] for step in over["steps"]] == [2, 2]
