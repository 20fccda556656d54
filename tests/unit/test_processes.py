"""Processes of this machine: told apart from those that have ended, whatever they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from kraken_fleet.processes import ProcessRef, find, running
from tests.waiting import until


def test_the_name_of_a_program_is_not_taken_for_what_comes_after_it(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "60"]) as process:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == f"{program.name}\n")
        found = find(process.pid)
        process.kill()
    assert found is not None
    assert (found.parent, found.ended) == (os.getpid(), False)


def test_one_that_has_ended_is_not_alive_although_it_is_there() -> None:
    with subprocess.Popen(["true"]) as process:
        until(lambda: (found := find(process.pid)) is not None and found.ended)
        found = find(process.pid)
        assert found is not None
        assert not ProcessRef(process.pid, found.started).alive
        assert process.pid not in running()
    assert find(process.pid) is None


def test_this_process_runs() -> None:
    found = running()[os.getpid()]
    assert ProcessRef(os.getpid(), found.started).alive
    assert not ProcessRef(os.getpid(), found.started + 1).alive
