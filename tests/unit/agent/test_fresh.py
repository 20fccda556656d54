"""An agent for one job empties its data directory, and never one that is somebody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_agent import fresh
from kraken_agent.config import ConfigError

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer

REPORT = '{"job_id": 1, "step_idx": 0, "result": {}}'


def empty(data: Path) -> list[str]:
    said: list[str] = []
    fresh.empty(str(data), said.append)
    return said


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_all_that_a_job_left_goes_and_what_the_agent_needs_stays(tmp_path: Path) -> None:
    for name in ("jobs/1", "tools/x", "spool", "home/.cache"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "installation.json").write_text("{}")
    (tmp_path / "spool/000000000001.json").write_text(REPORT)
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


def test_what_a_job_puts_in_the_place_of_the_agents_own_files_goes(tmp_path: Path) -> None:
    assert empty(tmp_path) == []
    (tmp_path / "one-job").write_text("left")
    for name in ("in-container/left", "images.json/left", "spool/left.json", "spool/000000000001.json"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "update.json").write_text("left")
    (tmp_path / "installation.json").symlink_to("/etc/hostname")
    (tmp_path / "spool/000000000002.json").write_text('{"left": 1}')
    (tmp_path / "spool/000000000003.json").write_text(REPORT)
    (tmp_path / "home").rmdir()
    (tmp_path / "home").write_text("left")
    assert empty(tmp_path) == []
    assert names(tmp_path) == {"home", "one-job", "spool"}
    assert (tmp_path / "one-job").read_text() == ""
    assert (tmp_path / "home").is_dir()
    assert names(tmp_path / "spool") == {"000000000003.json"}
    (tmp_path / "spool/000000000003.json").unlink()
    (tmp_path / "spool").rmdir()
    (tmp_path / "spool").symlink_to("/etc")
    assert empty(tmp_path) == []
    assert names(tmp_path) == {"home", "one-job"}


def test_a_directory_that_a_deploy_made_is_the_agents_even_without_its_mark(tmp_path: Path) -> None:
    """Jobs of an agent that did not empty it have left their caches, and a job can remove the mark."""
    data = tmp_path / "data"
    (data / ".cache/pip").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"\.cache in it is not the agent's"):
        empty(data)
    (tmp_path / "kraken.env").write_text("")
    assert empty(data) == []
    assert names(data) == {"home", "one-job"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_account_are_not_the_agents_in_any_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "kraken.env").write_text("")
    (data / "thesis.tex").write_text("years of work")
    os.chown(data / "thesis.tex", 12345, 12345)
    with pytest.raises(ConfigError, match=r"thesis\.tex in it is not the agent's"):
        empty(data)
    assert names(data) == {"thesis.tex"}


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
