"""Processes of a lab: recognised for certain, ended for certain, and nobody else's touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab import processes
from kraken_fleet.processes import ProcessRef
from tests.waiting import until

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def started() -> Iterator[list[ProcessRef]]:
    """Processes to end after the test, whatever it did."""
    refs: list[ProcessRef] = []
    yield refs
    processes.stop(refs, patience=0)


def _sleep(tmp_path: Path, **environ: str) -> ProcessRef:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return processes.spawn(command, log=tmp_path / "log", environ={**os.environ, **environ})


def test_a_process_lives_until_it_is_stopped(tmp_path: Path, started: list[ProcessRef]) -> None:
    process = _sleep(tmp_path)
    started.append(process)
    assert process.alive
    processes.stop([process])
    assert not process.alive


def test_a_process_is_in_a_session_of_its_own_so_that_ctrl_c_passes_by(
    tmp_path: Path, started: list[ProcessRef]
) -> None:
    process = _sleep(tmp_path)
    started.append(process)
    assert os.getsid(process.pid) == process.pid


def test_a_number_that_somebody_else_has_now_is_never_signalled(tmp_path: Path, started: list[ProcessRef]) -> None:
    process = _sleep(tmp_path)
    started.append(process)
    before = ProcessRef(process.pid, process.started - 1)
    assert not before.alive
    processes.stop([before])
    assert process.alive


def test_one_that_does_not_listen_is_ended_after_the_patience(tmp_path: Path, started: list[ProcessRef]) -> None:
    process = processes.spawn([sys.executable, "-c", _STUBBORN], log=tmp_path / "log", environ=os.environ)
    started.append(process)
    until(lambda: (tmp_path / "log").read_text() == "ready\n")
    processes.stop([process], patience=0.3)
    assert not process.alive


def test_stopping_what_is_gone_already_is_no_error() -> None:
    processes.stop([ProcessRef(2**22 + 1, 1)])


def test_its_output_goes_to_a_log_that_only_its_owner_reads(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.spawn([sys.executable, "-c", "print('hello')"], log=log, environ=os.environ)
    until(lambda: not process.alive)
    assert log.read_text() == "hello\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_program_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"/nowhere/python: It cannot be started: No such file"):
        processes.spawn(["/nowhere/python"], log=tmp_path / "log", environ={})


def test_what_carries_the_labs_mark_is_found_with_its_descendants(tmp_path: Path, started: list[ProcessRef]) -> None:
    command = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], env={})"
    environ = {**os.environ, processes.MARK: str(tmp_path)}
    parent = processes.spawn([sys.executable, "-c", command], log=tmp_path / "log", environ=environ)
    started.append(parent)
    until(lambda: len(processes.running_in(tmp_path)) == 2)
    found = processes.running_in(tmp_path)
    started.extend(found)
    assert parent in found


def test_an_agents_orphaned_job_is_found_by_its_data_directory(tmp_path: Path, started: list[ProcessRef]) -> None:
    job = _sleep(tmp_path, KRAKEN_DATA_DIR=str(tmp_path / "hosts" / "build-1" / "kraken" / "data"))
    started.append(job)
    until(lambda: processes.running_in(tmp_path / "hosts") == {job})
    assert processes.running_in(tmp_path / "hosts" / "build-2") == set()


def test_an_agent_is_found_by_the_file_that_it_runs(tmp_path: Path, started: list[ProcessRef]) -> None:
    agent = tmp_path / "hosts" / "build-1" / "kkagent"
    agent.parent.mkdir(parents=True)
    agent.write_text("import time; time.sleep(60)")
    process = processes.spawn([sys.executable, str(agent), "run"], log=tmp_path / "log", environ=os.environ)
    started.append(process)
    until(lambda: processes.running_in(tmp_path / "hosts" / "build-1") == {process})


def test_a_lab_whose_name_begins_alike_is_not_touched(tmp_path: Path, started: list[ProcessRef]) -> None:
    started.append(_sleep(tmp_path, **{processes.MARK: str(tmp_path / "demo2")}))
    started.append(_sleep(tmp_path, KRAKEN_DATA_DIR=str(tmp_path / "demo2" / "data")))
    time.sleep(0.1)
    assert processes.running_in(tmp_path / "demo") == set()


def test_a_users_editor_in_the_lab_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("")
    with subprocess.Popen(["tail", "-f", file], cwd=tmp_path) as editor:
        try:
            time.sleep(0.1)
            assert processes.running_in(tmp_path) == set()
        finally:
            editor.kill()
