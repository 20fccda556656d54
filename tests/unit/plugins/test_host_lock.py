"""One deploy at a time on a host."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import lock
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError

HOLDER = """
import sys, time
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import lock
with lock.held(sys.argv[1], 5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of a directory."""
    collections = Path(__file__).parents[3] / "collections"
    environment = {**os.environ, "PYTHONPATH": str(collections), "SUDO_USER": "ann"}
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_deploy_is_told_whose_the_first_is_and_since_when(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    said = rf"process {holder.pid} of ann, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\. It has not ended in 0\.5 s"
    with pytest.raises(HostError, match=said), lock.held(str(tmp_path), 0.5):
        raise AssertionError
    with lock.held(str(tmp_path / "another"), 0):
        pass
    holder.kill()
    holder.wait()
    with lock.held(str(tmp_path), 5):
        assert Path(lock._path(str(tmp_path))).exists()
    assert not Path(lock._path(str(tmp_path))).exists(), "nothing is left on the host"


def test_a_lock_is_waited_for_within_bounds(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        holder.kill()
        holder.wait()

    with lock.held(str(tmp_path), 30, sleep=wait):
        pass
    assert len(waits) == 1


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    path = Path(lock._path(str(tmp_path)))
    path.symlink_to(target)
    try:
        with pytest.raises(HostError, match="cannot be used"), lock.held(str(tmp_path), 0):
            pass
        assert not target.exists()
    finally:
        path.unlink()
