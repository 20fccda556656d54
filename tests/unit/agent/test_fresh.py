"""An agent for one job empties its data directory, and never one that is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_agent import fresh
from kraken_agent.config import ConfigError

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer


def empty(data: Path) -> list[str]:
    said: list[str] = []
    fresh.empty(str(data), said.append)
    return said


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_all_that_a_job_left_goes_and_what_the_agent_needs_stays(tmp_path: Path) -> None:
    for name in ("jobs/1", "tools/x", "spool", "home/.cache"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("installation.json", "spool/000000000001.json"):
        (tmp_path / name).write_text("{}")
    assert empty(tmp_path) == []
    (tmp_path / "left").mkdir()
    (tmp_path / "spool/left").write_text("")
    (tmp_path / "home/left").write_text("")
    (tmp_path / "link").symlink_to("/etc")
    assert empty(tmp_path) == []
    assert names(tmp_path) == {"home", "installation.json", "one-job", "spool"}
    assert names(tmp_path / "spool") == {"000000000001.json"}
    assert names(tmp_path / "home") == set()


def test_a_directory_with_files_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.tex in it is not the agent's"):
        empty(tmp_path)
    assert names(tmp_path) == {"thesis.tex"}


def test_the_agent_ends_after_its_job_and_the_next_finds_nothing(
    server: FakeServer, start_agent: Callable[..., RunningAgent], tmp_path: Path
) -> None:
    for _ in range(2):
        job = server.add_job({"cmd": "ls -A $HOME .. ; touch $HOME/left ../../left"})
        agent = start_agent(KRAKEN_AGENT_ONE_JOB="yes", HOME=str(tmp_path / "data/home"))
        assert agent.wait() == 0
        assert job.finished
        assert "left" not in server.sink.output(job.id)
    assert (tmp_path / "data/left").exists()
