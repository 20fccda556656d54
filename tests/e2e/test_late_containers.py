"""A container that the engine makes when the agent that has asked for it is dead."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kraken_agent.executors.docker.engine import EngineSocket
from kraken_agent.leftovers import is_container_expected

from tests.e2e.agent_at_server import AgentAtServer, AgentProcess, agent_at, embedded_server, eventually

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import MINIMAL, docker_images  # noqa: F401 - the fixture is used by name
from tests.e2e.held_engine import HeldEngine
from tests.s3_server import S3Server

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_images"), pytest.mark.timeout(200)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HeldEngine]:
    with HeldEngine.at(tmp_path / "engine") as held:
        yield held


@pytest.fixture
def site(engine: HeldEngine, tmp_path: Path) -> Iterator[AgentAtServer]:
    """An agent that has asked the engine for a container, and waits."""
    host = f"unix://{tmp_path / 'engine'}"
    with (
        embedded_server(tmp_path / "server", S3Server("127.0.0.1:9")) as server,
        agent_at(server, tmp_path / "agent", DOCKER_HOST=host) as made,
    ):
        run = made.start({"j": [{"tool": "shell", "cmd": "sleep 100"}]}, system=MINIMAL, executor="docker")
        assert engine.held.wait(60)
        for job in made.jobs(run):
            assert made.server.api("DELETE", f"/jobs/{job['id']}").status == 200
        yield made


def left(site: AgentAtServer) -> list[str]:
    """The containers of the agent's jobs."""
    return EngineSocket().containers(site.agent.installation)


def kill_all(agent: AgentProcess) -> None:
    """As systemd does: everything of the service."""
    children = agent.children()
    agent.kill()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def test_a_container_that_is_there_after_the_sweep_is_swept_by_a_second_one(
    engine: HeldEngine, site: AgentAtServer, tmp_path: Path
) -> None:
    kill_all(site.agent)
    before = engine.lists
    site.agent.start()
    eventually(lambda: engine.lists, lambda lists: lists > before)
    engine.release.set()
    (late,) = eventually(lambda: left(site), bool)
    eventually(lambda: left(site), lambda found: found == [])
    site.run({"next": [{"tool": "shell", "name": "hello", "cmd": "hostname"}]}, system=MINIMAL, executor="docker")
    assert site.outcomes["next"].lines("hello") != [late[:12]]
    # Whoever starts next need not look twice.
    eventually(lambda: is_container_expected(str(tmp_path / "agent")), lambda it_is: not it_is)


def test_who_makes_a_container_for_an_agent_that_has_died_removes_it(engine: HeldEngine, site: AgentAtServer) -> None:
    (maker,) = site.agent.children()
    site.agent.kill()
    engine.release.set()
    eventually(lambda: Path(f"/proc/{maker}").exists(), lambda it_lives: not it_lives)
    assert left(site) == []
