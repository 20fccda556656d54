"""What doctor sees of a host's agent and of its engines. Engines are real sockets with recorded answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import agent_checks, engine

from tests.background import serving

DOCKER, LXD = {"Version": "20.10.24"}, {"metadata": {"environment": {"server_version": "5.0.2"}}}


@contextmanager
def answering(place: Path, answer: object, status: str = "200 OK") -> Iterator[None]:
    """An engine at a socket that has one answer to everything."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(f"HTTP/1.0 {status}\r\n\r\n{json.dumps(answer)}".encode())

    with serving(ThreadingUnixStreamServer(str(place), Handler)):
        yield


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Where the sockets would be; none is there."""
    found = {"docker": tmp_path / "docker.sock", "lxd": tmp_path / "lxd.sock"}
    monkeypatch.setattr(engine, "SOCKET", str(found["docker"]))
    monkeypatch.setattr(agent_checks, "_LXD_SOCKETS", (str(tmp_path / "none"), str(found["lxd"])))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return found


def checked(*wanted: str) -> dict[str, tuple[bool | None, str]]:
    findings = agent_checks.check_engines(wanted, 5.0)
    return {one["check"]: (one["ok"], one["detail"]) for one in findings}


def test_nothing_is_said_of_engines_that_are_neither_here_nor_wanted(places: dict[str, Path]) -> None:
    assert checked("local") == {}


def test_engines_say_their_versions(places: dict[str, Path]) -> None:
    with answering(places["docker"], DOCKER), answering(places["lxd"], LXD):
        assert checked("docker") == {
            "docker": (True, f"Docker 20.10.24 answers at {places['docker']}"),
            "lxd": (True, f"LXD 5.0.2 answers at {places['lxd']}"),
        }


def test_an_engine_that_an_executor_needs_has_to_be_there(places: dict[str, Path]) -> None:
    (found,) = agent_checks.check_engines(["lxd"], 5.0)
    assert (found["check"], found["ok"], found["detail"]) == ("lxd", False, "it is not on this host")
    assert "kraken_agent_executors" in found["remedy"]


@pytest.mark.parametrize(("wanted", "ok"), [("docker", False), ("local", None)])
def test_an_engine_that_has_gone_counts_when_it_is_wanted(
    places: dict[str, Path], wanted: str, ok: bool | None
) -> None:
    with answering(places["docker"], DOCKER):
        pass
    assert checked(wanted) == {"docker": (ok, f"{places['docker']}: Connection refused")}


def test_what_answers_like_no_engine_is_told(places: dict[str, Path]) -> None:
    with answering(places["docker"], [], "500 Server Error"):
        assert checked("docker") == {
            "docker": (False, f"{places['docker']}: The engine answers: HTTP/1.0 500 Server Error")
        }
    with answering(places["lxd"], ["nothing", "of", "LXD"]):
        assert checked("lxd")["lxd"][0] is False


def test_another_engine_of_the_environment_is_not_judged_by_the_socket(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    assert checked("docker") == {}


def test_the_installed_release_is_named(tmp_path: Path) -> None:
    found = agent_checks.check_agent(str(tmp_path))
    assert (found["ok"], found["detail"]) == (True, f"none is installed in {tmp_path}")
    release = tmp_path / "versions" / "1.2.3-0123abcd"
    release.mkdir(parents=True)
    (tmp_path / "current").symlink_to("versions/1.2.3-0123abcd")
    found = agent_checks.check_agent(str(tmp_path))
    assert (found["ok"], found["detail"]) == (True, f"release 1.2.3-0123abcd in {tmp_path}")
    release.rmdir()
    found = agent_checks.check_agent(str(tmp_path))
    assert (found["ok"], found["detail"]) == (False, f"release 1.2.3-0123abcd is missing in {tmp_path}")
    assert "Deploy the host" in found["remedy"]
