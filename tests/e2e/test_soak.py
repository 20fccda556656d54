"""A minute of the soak benchmark: no job is lost or runs twice while everything fails, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Chosen so that a server is killed while its agents have jobs, and an agent in the middle of a step.
SEED = 7


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_small_fleet_keeps_every_job_while_everything_around_it_fails() -> None:
    size = ["--agents", "30", "--real", "4", "--seconds", "60", "--pause", "4", "--rollout", "20", "--poll", "2"]
    command = [sys.executable, "-m", "bench.soak", *size, "--seed", str(SEED), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["jobs that ended"] == figures["jobs that ended well"] > 30
    assert figures["steps that ran"] > 30
    assert figures["faults"] > 8
