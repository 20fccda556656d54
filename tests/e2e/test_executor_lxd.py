"""What only the LXD executor does: its images."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from kraken_agent.executors.lxd.executor import LxdExecutor

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import LXD_ALIAS, docker_images, lxd_image  # noqa: F401 - the fixtures are used by name
from tests.e2e.executor_child import ChildError, Job
from tests.e2e.lxd_images_server import ALIAS, images_server

pytestmark = [pytest.mark.lxd, pytest.mark.usefixtures("lxd_image"), pytest.mark.timeout(300)]


def test_an_image_can_be_named_by_its_fingerprint(tmp_path: Path) -> None:
    listed = ["lxc", "image", "list", LXD_ALIAS, "--format=csv", "-c", "F"]
    fingerprint = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip()
    job = Job(LxdExecutor, tmp_path / "jobs/1", fingerprint[:12], f"test-{os.getpid()}-fingerprint")
    try:
        job.prepare()
        assert job.shell("pwd") == 0
    finally:
        job.cleanup()
    assert job.lines()[-1] == str(job.directory)


def test_an_image_that_the_daemon_lacks_comes_from_the_configured_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with images_server() as remote:
        monkeypatch.setenv("KRAKEN_LXD_REMOTE", remote.url)
        job = Job(LxdExecutor, tmp_path / "jobs/1", ALIAS, f"test-{os.getpid()}-remote")
        try:
            job.prepare()
            assert job.shell("echo it runs") == 0
        finally:
            job.cleanup()
            # The daemon keeps what it took, and would not ask a second time.
            subprocess.run(["lxc", "image", "delete", remote.fingerprint], check=False)
    assert job.lines()[-1] == "it runs"
    assert remote.asked[-1] == "images/lxd.tar.gz"


def test_an_image_that_is_on_no_remote_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with images_server() as remote:
        monkeypatch.setenv("KRAKEN_LXD_REMOTE", remote.url)
        job = Job(LxdExecutor, tmp_path / "jobs/1", "nothing/0", f"test-{os.getpid()}-nowhere")
        with pytest.raises(ChildError, match=r"image nothing/0 cannot be made: .*couldn.t be found"):
            job.prepare()
        job.cleanup()


def test_many_quick_steps_all_end_well(tmp_path: Path) -> None:
    """LXD closes a program's streams at the very moment when we do."""
    job = Job(LxdExecutor, tmp_path / "jobs/1", LXD_ALIAS, f"test-{os.getpid()}-quick")
    try:
        job.prepare()
        codes = [job.shell(f"echo {number}") for number in range(80)]
    finally:
        job.cleanup()
    assert job.lines() == [str(number) for number in range(80)]
    assert set(codes) == {0}
