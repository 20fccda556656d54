"""The swarm bench runs, and a small swarm polls without an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_a_hundred_agents_poll_without_an_error() -> None:
    command = [sys.executable, "bench/swarm.py", "--agents", "100", "--seconds", "2", "--interval", "1"]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [*command, "--burst", "0.5", "--json"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["steady"]["polls"] == 200
    assert figures["steady"]["errors"] == figures["flat_out"]["errors"] == 0
