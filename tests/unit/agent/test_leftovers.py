"""What earlier jobs left: old directories go, whatever their modes; what stays is named with its size."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_agent import tidying
from kraken_agent.keeping import Keeping

from tests.unit.agent.conftest import AGENT_SOURCE, RunningAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]

# Times of files are as coarse as the kernel's clock.
CLOCK_TICK = 0.02
PRUNE = """
import os, sys
from kraken_agent import tidying
from kraken_agent.keeping import Keeping
os.setgid(65534)
os.setuid(65534)
tidying.tidy(os.path.dirname(sys.argv[1]), Keeping(), 0, print)
"""


def job_directories(jobs: Path, count: int) -> None:
    """As Go leaves its module cache: directories without leave to write in them."""
    for number in range(count):
        module = jobs / str(number) / "mod" / "x@v1"
        module.mkdir(parents=True)
        (module / "file").write_text("text")
        (module / "link").symlink_to("/etc")
        for path in (module / "file", module, module.parent):
            path.chmod(0o555)


def give_to_nobody(jobs: Path) -> None:
    for path in (jobs, *jobs.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)


def prune_as_nobody(jobs: Path) -> str:
    environment = {"PYTHONPATH": str(AGENT_SOURCE), "PATH": os.environ["PATH"]}
    command = ["/usr/bin/python3", "-c", PRUNE, str(jobs)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def open_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that nobody's processes can reach."""
    path = tmp_path_factory.mktemp("open")
    for place in (path, *path.parents):
        # pytest closes its own directories; those above them are not ours to change.
        if "pytest" in str(place):
            place.chmod(0o755)
    return path / "jobs"


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes nobody, which only root can")


@as_root
def test_directories_that_are_read_only_go_like_all_others(open_jobs: Path) -> None:
    job_directories(open_jobs, 15)
    give_to_nobody(open_jobs)
    assert prune_as_nobody(open_jobs) == ""
    assert len(list(open_jobs.iterdir())) == 10


@as_root
def test_a_directory_that_cannot_be_removed_is_named_with_its_size(open_jobs: Path) -> None:
    job_directories(open_jobs, 11)
    give_to_nobody(open_jobs)
    oldest = open_jobs / "oldest"
    (oldest / "of-root").mkdir(parents=True)
    (oldest / "of-root/file").write_bytes(b"x" * 50_000)
    os.chown(oldest, 65534, 65534)
    time.sleep(CLOCK_TICK)
    for number in range(11):
        # The time that counts is that of the last change of owner or mode.
        (open_jobs / str(number)).chmod(0o700)
    said = prune_as_nobody(open_jobs)
    assert said.startswith(f"{oldest}: this directory of an earlier job cannot be removed, ")
    assert " kB stay: files in it belong to another user" in said
    assert {path.name for path in open_jobs.iterdir()} >= {"oldest"}
    assert len(list(open_jobs.iterdir())) == 11


def test_a_job_cannot_keep_its_directory_by_the_time_that_it_gives_it(tmp_path: Path) -> None:
    for number in range(11):
        directory = tmp_path / "jobs" / str(number)
        directory.mkdir(parents=True)
        os.utime(directory, (4e9 - number, 4e9 - number))
        time.sleep(CLOCK_TICK)
    tidying.tidy(str(tmp_path), Keeping(), 0, print)
    assert not (tmp_path / "jobs/0").exists()
    assert (tmp_path / "jobs/10").exists()


def test_an_agent_removes_old_directories_when_it_starts(
    start_agent: Callable[..., RunningAgent], until: Until, tmp_path: Path
) -> None:
    """One that is killed in each of its jobs does not come to remove them after a job."""
    jobs = tmp_path / "data/jobs"
    job_directories(jobs, 15)
    start_agent(KRAKEN_AGENT_KEEP_JOBS="12")
    until(lambda: len(list(jobs.iterdir())) == 12)


def test_a_warning_is_in_the_agents_log_once(
    server: FakeServer, start_agent: Callable[..., RunningAgent], until: Until, tmp_path: Path
) -> None:
    """The programs that remove are stand-ins here that do nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "rm").symlink_to("/bin/true")
    (tmp_path / "data/jobs/old").mkdir(parents=True)
    time.sleep(CLOCK_TICK)
    for number in range(100, 110):
        (tmp_path / f"data/jobs/{number}").mkdir()
    agent = start_agent(PATH=f"{programs}:{os.environ['PATH']}")
    for _ in range(3):
        job = server.add_job({"cmd": "true"})
        until(lambda job=job: job.finished)
    until(lambda: "/jobs/old: this directory of an earlier job cannot be removed" in agent.said())
    assert agent.said().count(f"{agent.data_dir}/jobs/old: this directory") == 1
