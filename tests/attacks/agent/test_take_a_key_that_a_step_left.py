"""A step with a private key is cancelled, or its agent is killed: nobody finds the key on the disk afterwards."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nprivate-key-4711\n-----END OPENSSH PRIVATE KEY-----"
SCRIPT = "# private-key-4711\nsleep 300"
StartAgent = Callable[..., RunningAgent]
Until = Callable[..., None]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    path = tmp_path / "tmp"
    path.mkdir()
    return path


def places_of_the_key(*directories: Path) -> list[Path]:
    files = [Path(place, name) for top in directories for place, _, names in os.walk(top) for name in names]
    found = []
    for file in files:
        try:
            if b"private-key-4711" in file.read_bytes():
                found.append(file)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("kind", ["git", "script"])
@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_after_a_step_that_did_not_end_well(
    server: FakeServer, start_agent: StartAgent, until: Until, temporary: Path, silent_port: int, kind: str, end: str
) -> None:
    git = {"tool": "git", "checkout": f"ssh://git@127.0.0.1:{silent_port}/repo", "ssh-key": {"key": KEY}}
    job = server.add_job(git if kind == "git" else {"script": SCRIPT, "timeout": 200})
    agent = start_agent(TMPDIR=str(temporary))
    until(lambda: places_of_the_key(temporary))
    if end == "cancel":
        job.cancelled = True
    else:
        agent.signal(signal.SIGKILL)
        agent.wait()
        job.cancelled = True
        start_agent(TMPDIR=str(temporary))
    until(lambda: not places_of_the_key(temporary, agent.data_dir), otherwise="the key is still there")
