"""What a host's Docker engine says on its socket; an engine of another kind is left to the command `docker`."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import engine, others

ONE = {
    "Name": "/kraken-agent",
    "Config": {"Env": ["KRAKEN_SERVER_ADDR=http://k:6363", "KRAKEN_AGENT_ADDRESS=127.0.0.71"]},
    "HostConfig": {"NetworkMode": "host"},
}


class Engine(BaseHTTPRequestHandler):
    """Has one container with the label that is asked for."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/containers/json":
            asked = json.loads(parse_qs(parts.query)["filters"][0])
            self._say([{"Id": "1234"}] if asked == {"label": ["kraken-fleet.definition"]} else [])
        elif parts.path == "/containers/1234/json":
            self._say(ONE)
        else:
            self.send_error(404)

    def _say(self, what: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(what).encode())

    def address_string(self) -> str:
        return "the socket"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docker.sock"
    monkeypatch.setattr(engine, "SOCKET", str(path))
    monkeypatch.setattr(others, "find", lambda _: "/usr/bin/docker")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def running(socket_path: Path) -> Iterator[None]:
    with ThreadingUnixStreamServer(str(socket_path), Engine) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run; the engine that they reach has no containers."""
    found: list[list[str]] = []

    def run(command: list[str], **_options: object) -> str:
        found.append(command)
        return ""

    monkeypatch.setattr(others, "run", run)
    return found


@pytest.mark.usefixtures("running")
def test_agents_in_containers_are_found_without_the_command(asked: list[list[str]]) -> None:
    (found,) = others._containers()
    assert (found.name, found.address, found.server) == ("kraken-agent", "127.0.0.71", "http://k:6363")
    assert asked == []


@pytest.mark.usefixtures("socket_path")
def test_the_command_is_asked_where_no_engine_is_at_the_usual_place(asked: list[list[str]]) -> None:
    assert list(others._containers()) == []
    assert [command[:2] for command in asked] == [["docker", "ps"]]


@pytest.mark.usefixtures("running")
def test_the_command_is_asked_where_the_environment_names_another_engine(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[str]]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    assert list(others._containers()) == []
    assert len(asked) == 1


@pytest.mark.usefixtures("running")
def test_what_is_no_answer_of_an_engine_is_told() -> None:
    with pytest.raises(ValueError, match="404"):
        engine.get("/nothing", 5.0)


def test_an_engine_that_does_not_answer_is_not_asked_twice(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[list[str]]
) -> None:
    monkeypatch.setattr(others, "_ENGINE_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(socket_path))
        silent.listen()
        assert list(others._containers()) == []
    assert asked == []
