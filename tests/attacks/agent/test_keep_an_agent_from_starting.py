"""A job leaves things in the data directory, which its account may. The next start of the agent works all the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kraken_agent.spool import Spool
from kraken_agent.state_files import installation_id
from kraken_agent.update import read_state

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer

StartAgent = Callable[..., RunningAgent]
Until = Callable[..., None]


def file(path: Path, content: bytes = b"\xff{") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def link(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/etc")


def pipe(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


REPORT = {"address": "x", "msg": "step-result2", "job_id": 1, "step_idx": 0, "result": {"status": "done"}}
LEFT: dict[str, Callable[[Path], object]] = {
    "a report without a number": lambda data: file(data / "spool/x.json"),
    "a report that is no JSON": lambda data: file(data / "spool/000000000001.json"),
    "a report that is a directory": lambda data: (data / "spool/000000000001.json").mkdir(parents=True),
    "a report that is a pipe": lambda data: pipe(data / "spool/000000000001.json"),
    "a report of a job that is no number": lambda data: file(
        data / "spool/000000000001.json", json.dumps({**REPORT, "job_id": "one"}).encode()
    ),
    "a report of endless depth": lambda data: file(data / "spool/000000000001.json", b'{"a":' * 100_000),
    "a file for the reports": lambda data: file(data / "spool"),
    "a link for the reports": lambda data: link(data / "spool"),
    "a closed directory for the reports": lambda data: (data / "spool").mkdir(mode=0),
    "a file for the jobs": lambda data: file(data / "jobs"),
    "a link for the next job": lambda data: link(data / "jobs/1"),
    "a file for the next job": lambda data: file(data / "jobs/1"),
    "a pipe for the update": lambda data: pipe(data / "update.json"),
    "an update that is not whole": lambda data: file(data / "update.json", b'{"state": "trying"}'),
    "a trial of this very agent": lambda data: file(
        data / "update.json", b'{"state": "trying", "version": "1", "release": "kraken_agent"}'
    ),
    "a directory for the update": lambda data: (data / "update.json").mkdir(),
    "an installation that is a pipe": lambda data: pipe(data / "installation.json"),
    "a directory for the mark of a container": lambda data: (data / "in-container").mkdir(),
}


@pytest.mark.parametrize("left", LEFT)
def test_with_things_in_the_data_directory(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path, left: str
) -> None:
    (tmp_path / "data").mkdir()
    LEFT[left](tmp_path / "data")
    job = server.add_job({"cmd": "pwd; stat -c %a ."})
    agent = start_agent("--one-job")
    until(lambda: job.finished)
    assert agent.wait() == 0
    server.sink.settle()
    assert server.sink.output(job.id) == [str(tmp_path / "data/jobs/1"), "700"]


def test_what_cannot_be_used_is_put_aside_and_named(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job({"cmd": "true"})
    data = start_agent("--one-job", data="before").data_dir
    until(lambda: job.finished)
    file(data.parent / "data/spool/000000000001.json")
    agent = start_agent()
    until(lambda: "it was renamed to" in agent.said())
    assert (agent.data_dir / "spool/000000000001.json.unusable-0").exists()


def test_with_a_data_directory_that_nobody_may_enter(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job({"cmd": "true"})
    agent = start_agent("--one-job")
    until(lambda: job.finished)
    agent.wait()
    agent.data_dir.chmod(0)
    again = server.add_job({"cmd": "echo here"})
    start_agent("--one-job")
    until(lambda: again.finished)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
CONTENT = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())
REPORTS = st.fixed_dictionaries(
    {}, optional={"job_id": JSON, "step_idx": JSON, "result": JSON, "msg": JSON, "version": JSON, "state": JSON}
)


@settings(deadline=None)
@given(content=CONTENT | REPORTS.map(lambda value: json.dumps(value).encode()))
def test_with_any_content_of_its_files(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("data")
    for name in ("update.json", "installation.json", "spool/000000000001.json"):
        file(data / name, content)
    told: list[str] = []
    assert set(read_state(str(data))) <= {"version", "state", "release"}
    assert installation_id(str(data), told.append) == installation_id(str(data), told.append)
    spool = Spool(str(data / "spool"), told.append)
    report = spool.first()
    assert report is None or (type(report["job_id"]) is int and isinstance(report["result"], dict))
    spool.append(REPORT)
    assert Spool(str(data / "spool"), told.append)
