"""A slice's process ends when whoever wanted the slice is gone, or is silent for too long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kraken_fleet.scale import pipe, slice_process
from kraken_fleet.scale.events import SliceEvent
from kraken_fleet.scale.pipe import SliceProcess
from kraken_fleet.scale.runner import Slice
from tests.waiting import eventually, until

_PROGRAM = """
import os, sys, threading
from kraken_fleet.scale import slice_process
from kraken_fleet.scale.playbook_processes import PlaybookProcesses
slice_process.SILENCE = float(sys.argv[1])
lost = threading.Event()
slice_process._end_all = lambda begun: None
slice_process.wait_for_end(lost, PlaybookProcesses(os.getpid()))
assert lost.is_set()
print("lost", flush=True)
"""

# As ansible-playbook: a fork of it has a session of its own, starts an agent on a host that is this machine, and waits
# in a pipe whose other end it has itself.
_PLAYBOOK = """
import os, signal, subprocess, sys
reading, writing = os.pipe()
if os.fork():
    signal.pause()
os.setsid()
agent = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
with open(sys.argv[1], "w") as file:
    file.write(f"{os.getppid()} {os.getpid()} {agent.pid}\\n")
os.read(reading, 1)
"""
# As ansible-runner: it kills ansible-playbook and the group of that, once it hears that the slice is not wanted.
_SLICE = """
import os, signal, subprocess, sys, time
from kraken_fleet.scale import slice_process
from kraken_fleet.scale.events import HostStarted, SliceEnded
slice_process.PATIENCE = 0.5
def run_slice(work, tell, cancelled):
    playbook = subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2]], start_new_session=True)
    tell(HostStarted(1, "one"))
    while not cancelled():
        time.sleep(0.02)
    os.killpg(playbook.pid, signal.SIGKILL)
    playbook.wait()
    return SliceEnded(1, 1)
slice_process.run_slice = run_slice
sys.exit(slice_process.main())
"""


@dataclass
class Begun:
    """A slice's process that works, the ansible-playbook that it has begun, with its fork, and an agent."""

    process: SliceProcess
    events: Generator[SliceEvent, None, None]
    pids: list[int]
    agent: int


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Begun]:
    file, playbook = tmp_path / "pids", tmp_path / "ansible-playbook"
    playbook.write_text(_PLAYBOOK)
    command = [sys.executable, "-c", _SLICE, str(playbook), str(file)]
    process = SliceProcess(Slice(1, {"all": {"hosts": {"one": {}}}}), command)
    events = process.events()
    next(events)
    *pids, agent = [int(pid) for pid in eventually(lambda: file.read_text() if file.exists() else "").split()]
    yield Begun(process, events, pids, agent)
    for pid in filter(runs, (*pids, agent)):
        os.kill(pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def waiting(silence: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _PROGRAM, str(silence)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.parametrize("closed", [True, False])
def test_a_slice_is_lost_when_its_pipe_is_closed_or_nobody_writes_into_it(*, closed: bool) -> None:
    with waiting(1000 if closed else 0.5) as process:
        assert process.stdin
        assert process.stdout
        if closed:
            process.stdin.close()
        assert process.stdout.readline() == b"lost\n"
        process.kill()


def test_silence_is_over_before_another_worker_has_the_slice() -> None:
    # Of contrib/systemd/kraken-fleet-scheduler.service.
    assert slice_process.SILENCE + slice_process.PATIENCE < 120


def test_it_has_the_settings_of_ansible_and_no_secret() -> None:
    kept = {
        "HOME": "/home/anna",
        "ANSIBLE_CONFIG": "/etc/ansible/ansible.cfg",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": "/run/anna/ssh",
        "ANSIBLE_PRIVATE_KEY_FILE": "/home/anna/.ssh/fleet",
        "ANSIBLE_BECOME_PASSWORD_FILE": "/etc/kraken-fleet/become",
    }
    secrets = (
        "ANSIBLE_BECOME_PASS",
        "ANSIBLE_GALAXY_SERVER_MINE_TOKEN",
        "ANSIBLE_RUNNER_SECRET",
        "AWS_SECRET_ACCESS_KEY",
    )
    left_out = dict.fromkeys((*secrets, "EDITOR"), "anything")
    assert slice_process.bare_environment(kept | left_out) == kept


def test_forks_of_a_killed_playbook_end_with_the_process_of_their_slice(begun: Begun) -> None:
    assert all(map(runs, begun.pids))
    begun.process.stop()
    list(begun.events)
    until(lambda: not any(map(runs, begun.pids)))
    assert runs(begun.agent), "what was started on a host goes on"


def test_a_process_that_does_not_end_is_killed_with_what_it_has_begun(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "_PATIENCE", 0.1)
    parent = int(Path(f"/proc/{begun.pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGSTOP)
    begun.events.close()
    until(lambda: not any(map(runs, begun.pids)))
    assert runs(begun.agent), "what was started on a host goes on"
