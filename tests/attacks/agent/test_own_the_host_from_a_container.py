"""A job in a container wants more of the host than its own directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kraken_agent.executors.base import JobPlace
from kraken_agent.executors.docker import executor
from kraken_agent.executors.docker.engine import EngineSocket
from kraken_agent.state_files import installation_id

from tests.unit.agent.executors.test_docker_containers import JOB, SOCKET, VOLUME, Engine


class SocketEngine(Engine):
    """An engine that listens at its usual socket."""

    path = "/var/run/docker.sock"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> SocketEngine:
    found = SocketEngine("bridge", [VOLUME, SOCKET])
    monkeypatch.setattr(executor, "EngineSocket", lambda: found)
    monkeypatch.delenv("KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS", raising=False)
    return found


def prepare() -> None:
    place = JobPlace({"id": 7, "system": "image"}, JOB, "/opt/kraken/data", "10.0.0.1", 60, "installation")
    executor.DockerExecutor(place).prepare()


@pytest.mark.parametrize("own", ["", "agent"])
def test_by_the_engines_socket(engine: SocketEngine, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setattr(executor, "own_container_id", lambda: own)
    prepare()
    assert not any("docker.sock" in bind for bind in engine.binds)
    assert len(engine.binds) == 1


def test_whoever_asks_for_the_socket_gets_it(engine: SocketEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "own_container_id", lambda: "")
    monkeypatch.setenv("KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS", "yes")
    prepare()
    assert engine.binds[1:] == ["/var/run/docker.sock:/var/run/docker.sock"]


def test_by_the_files_of_other_jobs(engine: SocketEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "own_container_id", lambda: "agent")
    prepare()
    assert engine.binds == [f"{VOLUME['Source']}/jobs/7:{JOB}"]


def test_by_having_an_agent_remove_anothers_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two agents may have one address: what an agent lists to remove is what its installation has made."""
    asked: list[str] = []

    def get(self: EngineSocket, path: str) -> Any:
        asked.append(path)
        return []

    monkeypatch.setattr(EngineSocket, "get", get)
    directories = [tmp_path / name for name in ("mine", "other")]
    for directory in directories:
        directory.mkdir()
    mine, other = (installation_id(str(directory), lambda text: None) for directory in directories)
    assert mine != other
    executor.DockerExecutor.sweep(mine)
    assert len(asked) == 1
    assert f"org.kraken-ci.agent.installation%3D{mine}" in asked[0]
