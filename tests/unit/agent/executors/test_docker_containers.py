"""What a job's container sees of the host and which network it has, by how the agent itself runs."""

from __future__ import annotations

from typing import Any

import pytest
from kraken_agent.executors.docker.containers import Wanted, labels, make_container
from kraken_agent.executors.docker.engine import EngineError

JOB = "/opt/kraken/data/jobs/7"
VOLUME = {"Destination": "/opt/kraken/data", "Source": "/var/lib/docker/volumes/data/_data", "Name": "data"}
SOCKET = {"Destination": "/var/run/docker.sock", "Source": "/var/run/docker.sock"}


class Engine:
    """Remembers what it is told to make; knows the agent's own container."""

    def __init__(self, mode: str = "", mounts: list[dict[str, str]] | None = None) -> None:
        self.own: dict[str, Any] = {"HostConfig": {"NetworkMode": mode}, "Mounts": mounts or []}
        self.posted: list[tuple[str, Any]] = []

    def image(self, name: str) -> dict[str, Any]:
        return {"Config": {"User": "builder"}}

    def inspect(self, container: str) -> dict[str, Any]:
        return self.own

    def get(self, path: str) -> Any:
        return [{"Id": "net1", "Name": "lab_net"}] if path == "/networks" else {}

    def post(self, path: str, body: Any = None) -> Any:
        self.posted.append((path, body))
        if path.endswith("/connect") and self.own["HostConfig"]["NetworkMode"] == "host":
            raise EngineError("container sharing network namespace with another container or host cannot be connected")
        return {"Id": "c" * 64}

    @property
    def binds(self) -> list[str]:
        created = next(body for path, body in self.posted if path == "/containers/create")
        found: list[str] = created["HostConfig"]["Binds"]
        return found

    @property
    def connected(self) -> list[str]:
        return [body["Container"] for path, body in self.posted if path.endswith("/connect")]


def made(engine: Engine, own: str = "", socket: str = "") -> Any:
    wanted = Wanted("image", labels("installation", "10.0.0.1", 7), JOB, 60, own, socket)
    return make_container(engine, wanted, lambda line: None)  # type: ignore[arg-type]


def test_an_agent_in_no_container_gives_its_jobs_their_own_directory_only() -> None:
    engine = Engine()
    container = made(engine)
    assert engine.binds == [f"{JOB}:{JOB}"]
    assert (container.user, container.shares_directory) == ("builder", True)
    assert engine.connected == []


@pytest.mark.parametrize("mode", ["host", "none", "container:abc"])
def test_jobs_of_an_agent_without_a_network_of_its_own_have_the_engines_usual_one(mode: str) -> None:
    engine = Engine(mode, [VOLUME, SOCKET])
    assert made(engine, own="agent").shares_directory
    assert engine.connected == []


@pytest.mark.parametrize("mode", ["bridge", "default", "compose_lab_net"])
def test_jobs_of_an_agent_with_a_network_share_lab_net_with_it(mode: str) -> None:
    engine = Engine(mode, [VOLUME])
    made(engine, own="agent")
    assert engine.connected == ["c" * 64, "agent"]


def test_an_agent_in_a_container_hands_on_the_jobs_directory_and_no_other_mount() -> None:
    engine = Engine("bridge", [VOLUME, SOCKET, {"Destination": "/", "Source": "/nowhere"}])
    made(engine, own="agent")
    assert engine.binds == [f"/var/lib/docker/volumes/data/_data/jobs/7:{JOB}"]


def test_an_agent_in_a_container_without_a_mount_shares_nothing() -> None:
    engine = Engine("bridge", [SOCKET, {"Destination": "/opt/kraken/dat", "Source": "/x"}])
    assert not made(engine, own="agent").shares_directory
    assert engine.binds == []


def test_a_container_says_which_installation_it_belongs_to() -> None:
    assert labels("id-1", "10.0.0.1", 7) == {
        "org.kraken-ci.agent.installation": "id-1",
        "org.kraken-ci.agent": "10.0.0.1",
        "org.kraken-ci.agent.job": "7",
    }
