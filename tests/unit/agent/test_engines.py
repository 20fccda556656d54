"""Engines that cannot be used, and that come and go while the agent runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.agent.conftest import AGENT_SOURCE, RunningAgent
from tests.unit.agent.fake_server import FakeServer

StartAgent = Callable[..., RunningAgent]
Until = Callable[..., None]

OFTEN = "from kraken_agent import detect\ndetect._VALID_SECONDS = 0.5\n"


@contextmanager
def docker_engine(path: Path) -> Iterator[None]:
    """Answers every question with a version."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            body = b'{"Version": "77.1"}'
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    path.unlink()


def told(server: FakeServer, name: str) -> Any:
    """What the server was told of something, the last time."""
    return server.said("host-info")[-1]["info"].get(name)


def test_why_an_executor_is_not_offered_is_logged_once_and_in_the_host_info(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path
) -> None:
    (tmp_path / "docker.sock").touch()
    agent = start_agent(DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    until(lambda: len(server.said("get-job")) >= 2)
    reason = "the Docker engine cannot be reached: [Errno 111] Connection refused"
    assert agent.said().count(f"docker jobs are not offered: {reason}") == 1
    assert told(server, "kraken_fleet_not_offered")["docker"] == reason
    assert told(server, "docker") is None


def test_an_engine_that_comes_and_goes_is_noticed(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(OFTEN)
    path = tmp_path / "docker.sock"
    agent = start_agent(DOCKER_HOST=f"unix://{path}", PYTHONPATH=f"{tmp_path}:{AGENT_SOURCE}")
    until(lambda: server.said("get-job"))
    assert told(server, "docker") is None
    with docker_engine(path):
        until(lambda: told(server, "docker") == "77.1")
        assert "docker jobs are offered, version 77.1" in agent.said()
    until(lambda: told(server, "docker") is None)
    job = server.add_job({"cmd": "echo works"})
    until(lambda: job.finished)
