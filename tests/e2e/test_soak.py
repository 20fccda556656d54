"""A short soak: fifteen agents and the faults of one seed. `bench/soak.py` has the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_OPTIONS = {"agents": 15, "real": 3, "seconds": 24, "seed": 16, "pause": 2, "every": 2, "jobs": 8, "rollout": 10}


@pytest.mark.slow
@pytest.mark.timeout(900)  # it waits for every job that was begun, however busy the machine is
def test_no_job_is_lost_or_runs_twice_and_nothing_is_left() -> None:
    options = [part for name, value in _OPTIONS.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "bench.soak", *options, "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-5000:]
    figures = json.loads(ran.stdout)
    assert figures["problems"] == []
    assert figures["  the server is killed"] >= 1
    assert figures["  an agent is killed"] >= 1
    assert figures["  the network is cut"] >= 1
    assert figures["jobs that ended"] == figures["jobs that ended well"] > 0
    assert figures["deploys and upgrades"] >= 4  # the first, one meanwhile, and two at the end
