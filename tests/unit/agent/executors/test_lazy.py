"""An agent that runs a job in a container does not itself load what containers need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AGENT_SOURCE = Path(__file__).resolve().parents[4] / "agent"

_CODE = """
import sys
from kraken_agent.executors.base import ExecutorError, JobPlace
from kraken_agent.executors.registry import executor_for

executor = executor_for({name!r}, JobPlace(dict(id=1, system="x"), "/tmp/jobs/1", "/tmp", "me", 60))
print(executor.name, executor.has_setup, any(each in sys.modules for each in ("http.client", "tarfile", "hashlib")))
try:
    executor._real().box()
except ExecutorError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["docker", "lxd"])
def test_the_modules_of_containers_are_loaded_only_where_they_are_used(name: str) -> None:
    command = [sys.executable, "-c", _CODE.format(name=name)]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(AGENT_SOURCE)}, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert done[0] == f"{name} True False"
    assert done[1:] == (["the job has no container"] if name == "docker" else [])
