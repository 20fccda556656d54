"""What only the LXD executor does: its images."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kraken_agent import tidying
from kraken_agent.config import Config
from kraken_agent.executors.lxd.executor import LxdExecutor
from kraken_agent.images import Record

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import LXD_ALIAS, docker_images, lxd_image  # noqa: F401 - the fixtures are used by name
from tests.e2e.executor_child import ChildError, Job
from tests.e2e.lxd_images_server import ALIAS, ImagesServer, images_server

pytestmark = [pytest.mark.lxd, pytest.mark.usefixtures("lxd_image"), pytest.mark.timeout(300)]


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImagesServer]:
    """A server of images that the agent is told to use; what the daemon has taken of it is removed afterwards."""
    with images_server() as made:
        monkeypatch.setenv("KRAKEN_LXD_REMOTE", made.url)
        yield made
    subprocess.run(["lxc", "image", "delete", made.fingerprint], check=False, capture_output=True)


def test_an_image_can_be_named_by_its_fingerprint(tmp_path: Path) -> None:
    listed = ["lxc", "image", "list", LXD_ALIAS, "--format=csv", "-c", "F"]
    fingerprint = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip()
    job = Job(LxdExecutor, tmp_path / "jobs/1", fingerprint[:12], f"test-{os.getpid()}-fingerprint")
    with job.prepared():
        assert job.shell("pwd") == 0
    assert job.lines()[-1] == str(job.directory)


def test_an_image_that_the_daemon_lacks_comes_from_the_configured_remote(tmp_path: Path, remote: ImagesServer) -> None:
    job = Job(LxdExecutor, tmp_path / "jobs/1", ALIAS, f"test-{os.getpid()}-remote")
    with job.prepared():
        assert job.shell("echo it runs") == 0
    assert job.lines()[-1] == "it runs"
    assert remote.asked[-1] == "images/lxd.tar.gz"


@pytest.mark.usefixtures("remote")
def test_an_image_that_is_on_no_remote_is_named(tmp_path: Path) -> None:
    job = Job(LxdExecutor, tmp_path / "jobs/1", "nothing/0", f"test-{os.getpid()}-nowhere")
    with pytest.raises(ChildError, match=r"image nothing/0 cannot be made: .*couldn.t be found"):
        job.prepare()
    job.cleanup()


def test_many_quick_steps_all_end_well(tmp_path: Path) -> None:
    """LXD closes a program's streams at the very moment when we do."""
    job = Job(LxdExecutor, tmp_path / "jobs/1", LXD_ALIAS, f"test-{os.getpid()}-quick")
    with job.prepared():
        codes = [job.shell(f"echo {number}") for number in range(80)]
    assert job.lines() == [str(number) for number in range(80)]
    assert set(codes) == {0}


def _fingerprints() -> set[str]:
    """The images that the daemon has."""
    listed = ["lxc", "image", "list", "--format=csv", "-c", "F"]
    return set(subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split())


def test_images_that_jobs_have_pulled_are_removed_and_no_others(tmp_path: Path, remote: ImagesServer) -> None:
    assert remote.fingerprint not in _fingerprints()
    for number, image in ((1, LXD_ALIAS), (2, ALIAS)):
        with Job(LxdExecutor, tmp_path / f"jobs/{number}", image, f"test-{os.getpid()}-{number}", number).prepared():
            pass
    assert remote.fingerprint in _fingerprints()
    _tidy(tmp_path, images=1)
    assert remote.fingerprint in _fingerprints(), "one may stay, and what the agent did not pull does not count"
    _tidy(tmp_path, images=0)
    assert remote.fingerprint not in _fingerprints()
    assert subprocess.run(["lxc", "image", "info", LXD_ALIAS], check=False, capture_output=True).returncode == 0
    assert Record(str(tmp_path)).beyond(0, 0, 0) == [], "nothing is left in the record"

    again = Job(LxdExecutor, tmp_path / "jobs/3", ALIAS, f"test-{os.getpid()}-3", 3)
    with again.prepared():
        assert again.shell("echo pulled again") == 0


def test_an_image_is_removed_when_nobody_has_used_it_for_its_days(tmp_path: Path, remote: ImagesServer) -> None:
    with Job(LxdExecutor, tmp_path / "jobs/1", ALIAS, f"test-{os.getpid()}-days").prepared():
        pass
    _tidy(tmp_path, images=5)
    assert remote.fingerprint in _fingerprints()
    path = tmp_path / "images.json"
    known = json.loads(path.read_text())
    for image in known["images"]:
        image["used"] -= 31 * 86400
    path.write_text(json.dumps(known))
    _tidy(tmp_path, images=5)
    assert remote.fingerprint not in _fingerprints()


def _tidy(data_dir: Path, images: int) -> None:
    """Remove what the agent would remove after a job."""
    variables = {"KRAKEN_AGENT_KEEP_IMAGES": str(images)}
    assert tidying.tidy(str(data_dir), Config({"server": "server"}, variables).keeping, 0, lambda message: None) == 0
