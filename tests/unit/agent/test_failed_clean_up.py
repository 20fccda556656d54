"""A job whose container cannot be removed at its end: that is said and tried again, and its processes are ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_agent import family, leftovers
from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.local import LocalExecutor
from kraken_agent.reactor import Reactor

from tests.unit.agent.conftest import AGENT_SOURCE, RunningAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]
IsAlive = Callable[[int], bool]
StartWithEngine = Callable[[], RunningAgent]

# In place of the executor `docker`: its steps run on the host, and its engine is out of order until a file is there.
ENGINE = """\
import os
from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.local import LocalExecutor

PLACE = {place!r}

class Engine(LocalExecutor):
    name = "docker"

    def cleanup(self):
        if not os.path.exists(PLACE + "/works"):
            raise ExecutorError("the engine is out of order")

    @classmethod
    def sweep(cls, installation):
        with open(PLACE + "/sweeps", "a") as file:
            file.write("sweep\\n")
        cls.cleanup(None)
"""
WITH_ENGINE = """\
import errno, os
from kraken_agent import leftovers
from kraken_agent.executors import registry

PLACE = {place!r}
leftovers._AGAIN_SECONDS = leftovers._LATER_SECONDS = 0.1
registry._EXECUTORS["docker"] = ("engine", "Engine")
registry._LXD_SOCKETS = (PLACE + "/lxd.socket",)
_fork = os.fork

def fork():
    if os.path.exists(PLACE + "/no-processes"):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
    return _fork()

os.fork = fork
"""


@pytest.fixture
def start(start_agent: Callable[..., RunningAgent], tmp_path: Path) -> StartWithEngine:
    """Starts an agent with that engine."""
    (tmp_path / "engine.py").write_text(ENGINE.format(place=str(tmp_path)))
    (tmp_path / "sitecustomize.py").write_text(WITH_ENGINE.format(place=str(tmp_path)))
    return lambda: start_agent(PYTHONPATH=f"{tmp_path}:{AGENT_SOURCE}", DOCKER_HOST="unix:///nowhere")


def sweeps(directory: Path) -> int:
    return len((directory / "sweeps").read_text().splitlines())


def test_what_was_not_removed_is_said_and_swept_until_that_succeeds(
    server: FakeServer, start: StartWithEngine, until: Until, tmp_path: Path
) -> None:
    # An engine of this machine that the job did not use is out of order, and stays so.
    (tmp_path / "lxd.socket").touch()
    job = server.add_job({"cmd": "true"}, executor="docker")
    agent = start()
    until(lambda: job.finished)
    assert [result["status"] for result in server.results(job)] == ["done"]
    until(lambda: "the container of job 1 may be left" in agent.said())
    before = sweeps(tmp_path)
    until(lambda: sweeps(tmp_path) >= before + 2)
    assert leftovers.is_container_expected(str(agent.data_dir))
    (tmp_path / "works").touch()
    until(lambda: not leftovers.is_container_expected(str(agent.data_dir)))


def test_a_mark_names_each_executor_once(tmp_path: Path) -> None:
    for executor in ("docker", "lxd", "docker"):
        leftovers.expect_container(str(tmp_path), executor)
    assert (tmp_path / "in-container").read_text() == "docker\nlxd\n"


def test_a_later_job_that_ends_well_does_not_hide_what_was_not_removed(
    server: FakeServer, start: StartWithEngine, until: Until, tmp_path: Path
) -> None:
    first = server.add_job({"cmd": "true"}, executor="docker")
    second = server.add_job({"cmd": f"wc -l < {tmp_path}/sweeps; touch {tmp_path}/works"}, executor="docker")
    start()
    until(lambda: first.finished and second.finished)
    server.sink.settle()
    (before,) = server.sink.output(second.id)
    until(lambda: sweeps(tmp_path) > int(before))


def test_processes_of_a_job_are_ended_when_its_clean_up_cannot_start(
    server: FakeServer, start: StartWithEngine, until: Until, is_alive: IsAlive, tmp_path: Path
) -> None:
    daemon = "sleep 300 >/dev/null 2>&1 & echo $!"
    job = server.add_job({"cmd": f"{daemon}; touch {tmp_path}/no-processes"}, executor="docker")
    agent = start()
    until(lambda: server.sink.output(job.id))
    pid = int(server.sink.output(job.id)[0])
    until(lambda: not is_alive(pid))
    until(lambda: "the container of job 1 may be left (no process can be started" in agent.said())
    assert job.finished


@pytest.mark.parametrize(("cause", "is_done"), [(PermissionError(), True), (ConnectionRefusedError(), False)])
def test_an_engine_that_does_not_let_the_agent_in_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: OSError, *, is_done: bool
) -> None:
    class Engine(LocalExecutor):
        @classmethod
        def sweep(cls, installation: str) -> None:
            raise ExecutorError("it cannot be reached") from cause

    def here(reactor: Reactor, main: Callable[[Callable[..., None]], int]) -> tuple[int, bytes]:
        try:
            return main(print), b""
        except ExecutorError:
            return 1, b""

    monkeypatch.setattr(leftovers, "present", lambda: [("docker", True), ("lxd", False)])
    monkeypatch.setattr(leftovers, "executor_class", lambda name: Engine)
    monkeypatch.setattr(leftovers, "_in_child", here)
    assert leftovers.sweep_containers(Reactor(), str(tmp_path), print) is is_done


def test_processes_that_cannot_be_killed_are_waited_for_without_load(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def children() -> list[int]:
        looks.append(len(looks))
        return [2**22 + 1]

    monkeypatch.setattr(family, "_own_children", children)
    assert family.kill_children(lambda: None, 0.5) == 1
    assert len(looks) < 60
