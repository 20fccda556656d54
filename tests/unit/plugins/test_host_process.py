"""An agent as a detached process: real processes, real signals."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import process
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.users import current_user, primary_group

from tests.waiting import until

ME = current_user()
GROUP = primary_group(ME, ME)
OBEYS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *a: (time.sleep(0.2), print("drained", flush=True), sys.exit(0)))
print(os.environ.get("GREETING"), sorted(os.environ), flush=True)
while True: time.sleep(1)
"""
IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True: time.sleep(1)
"""


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[AgentSpec]:
    (tmp_path / "current").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "kraken.env").write_text('GREETING="good day"\n')
    found = AgentSpec("", str(tmp_path), "kraken-agent", ME, GROUP, sys.executable, {}, drain_seconds=30)
    yield found
    process.stop(found.directory, 0)


def agent(spec: AgentSpec, source: str) -> None:
    Path(spec.directory, "current", "kkagent").write_text(source)


def log(spec: AgentSpec) -> str:
    return Path(process.logfile(spec.directory)).read_text()


def test_it_starts_with_its_own_environment_stops_gently_and_is_not_started_twice(
    spec: AgentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "the connection's own")
    agent(spec, OBEYS)
    apply_all(process.converge(spec, restart=False))
    pid = process.running(spec.directory)
    assert pid
    until(lambda: log(spec).count("good day") == 1)
    assert os.getsid(pid) == pid
    assert list(process.converge(spec, restart=False)) == []
    (change,) = process.converge(spec, restart=True)
    apply_all([change])
    assert process.running(spec.directory) not in (None, pid)
    until(lambda: log(spec).count("good day") == 2)
    apply_all(process.remove(spec.directory, 30))
    assert process.running(spec.directory) is None
    assert log(spec).count("drained") == 2
    assert log(spec).count("good day") == 2
    assert "SSH_AUTH_SOCK" not in log(spec)


def test_one_that_does_not_stop_is_ended_by_force_after_its_time(
    spec: AgentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_KILL_SECONDS", 0.5)
    agent(spec, IGNORES)
    process.start(spec)
    began = time.monotonic()
    process.stop(spec.directory, 0)
    assert process.running(spec.directory) is None
    assert time.monotonic() - began < 50


def test_one_that_ends_at_once_is_an_error_with_its_last_words(spec: AgentSpec) -> None:
    agent(spec, "raise SystemExit('there is no server')")
    with pytest.raises(HostError, match=r"ended at once with exit code 1.*\n.*there is no server"):
        process.start(spec)
    assert process.state(spec.directory)["state"] == "stopped"


def test_one_whose_number_cannot_be_kept_does_not_go_on_unknown(
    spec: AgentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent(spec, OBEYS)
    started: list[int] = []

    def full(_spec: AgentSpec, pid: int) -> None:
        started.append(pid)
        raise OSError("No space left on device")

    monkeypatch.setattr(process, "_write_pidfile", full)
    with pytest.raises(OSError, match="No space left"):
        process.start(spec)
    assert not Path(f"/proc/{started[0]}").exists()


def test_another_process_that_got_the_number_is_left_alone(spec: AgentSpec) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        for started in (process._started(other.pid), "12345"):
            Path(process.pidfile(spec.directory)).write_text(f"{other.pid} {started}\n")
            assert process.running(spec.directory) is None
            process.stop(spec.directory, 0)
            assert other.poll() is None
        other.terminate()


@pytest.mark.parametrize("text", ["", "abc def\n", "12\n", "-1 5\n"])
def test_a_damaged_pidfile_is_no_process(spec: AgentSpec, text: str) -> None:
    Path(process.pidfile(spec.directory)).write_text(text)
    assert process.running(spec.directory) is None
