"""A job starts processes that do what they can to live on when the job is over."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent.conftest import RunningAgent, is_alive
from tests.unit.agent.fake_server import FakeJob, FakeServer
from tests.waiting import until

# Each life lasts about a millisecond: fork, let the parent go, new session, again; ends by itself after five minutes.
RUNNER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end, count = time.time() + 300, 0
while time.time() < end:
    if os.fork():
        os._exit(0)
    os.setsid()
    count += 1
    if count % 20 == 0:
        open(sys.argv[1], "w").close()
"""

# A daemon by the book: forks twice with a session of its own, closes all files, goes to `/`, and heeds no SIGTERM.
# Nothing of the job is left in it: no parent, group, session, variable, directory or open file.
DAEMON = """
import os, signal, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.chdir("/")
with open(sys.argv[1] + ".new", "w") as mark:
    mark.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
os.closerange(0, 100)
time.sleep(120)
"""


@pytest.fixture
def daemon(tmp_path: Path) -> tuple[str, Path]:
    """A command that starts a daemon, and the file that the daemon writes its process id into."""
    program, mark = tmp_path / "daemon.py", tmp_path / "daemon.pid"
    program.write_text(DAEMON)
    return f"env -i {sys.executable} -S -E {program} {mark}", mark


def is_gone(mark: Path) -> bool:
    return mark.exists() and not is_alive(int(mark.read_text()))


@pytest.mark.parametrize(
    ("step", "job"),
    [({"timeout": 15}, {}), ({}, {"timeout": 15})],
    ids=["the step's time is over", "the job's time is over"],
)
def test_as_a_daemon_of_a_step_that_takes_too_long(
    server: FakeServer,
    start_agent: Callable[..., RunningAgent],
    daemon: tuple[str, Path],
    step: dict[str, Any],
    job: dict[str, Any],
) -> None:
    start, mark = daemon
    given = server.add_job({"cmd": f"{start}; sleep 60", **step}, **job)
    agent = start_agent()
    until(lambda: given.finished and is_gone(mark))
    assert agent.process.poll() is None


@pytest.fixture
def at_work(
    server: FakeServer, start_agent: Callable[..., RunningAgent], daemon: tuple[str, Path]
) -> tuple[FakeJob, RunningAgent, Path]:
    """A job that has started the daemon and goes on, its agent, and the file of the daemon."""
    start, mark = daemon
    job = server.add_job({"cmd": f"{start}; sleep 60"})
    agent = start_agent()
    until(mark.exists)
    return job, agent, mark


def test_as_a_daemon_of_a_job_that_is_cancelled(at_work: tuple[FakeJob, RunningAgent, Path]) -> None:
    job, agent, mark = at_work
    job.cancelled = True
    until(lambda: job.finished and is_gone(mark))
    assert agent.process.poll() is None


def test_as_a_daemon_of_an_agent_that_is_stopped(at_work: tuple[FakeJob, RunningAgent, Path]) -> None:
    _, agent, mark = at_work
    agent.signal(signal.SIGTERM)
    agent.signal(signal.SIGTERM)
    agent.wait()
    assert is_gone(mark)


def test_by_forking_faster_than_anybody_counts(
    server: FakeServer, start_agent: Callable[..., RunningAgent], tmp_path: Path
) -> None:
    program, mark = tmp_path / "runner.py", tmp_path / "alive"
    program.write_text(RUNNER)
    start = f"env -i {sys.executable} -S -E {program} {mark}$number </dev/null >/dev/null 2>&1 &"
    wait = "; ".join(f"until [ -e {mark}{number} ]; do sleep 0.1; done" for number in range(1, 5))
    job = server.add_job({"cmd": f"for number in 1 2 3 4; do {start} done; {wait}; ls {tmp_path}"})
    start_agent("--one-job").wait()
    server.sink.settle()
    assert "alive1" in server.sink.output(job.id)
    for number in range(1, 5):
        Path(f"{mark}{number}").unlink()
    time.sleep(2)
    assert list(tmp_path.glob("alive*")) == []
