"""A slice's process ends when whoever wanted the slice is gone, or is silent for too long."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kraken_fleet.scale import slice_process

_PROGRAM = """
import sys, threading
from kraken_fleet.scale import slice_process
slice_process.SILENCE = float(sys.argv[1])
lost = threading.Event()
slice_process._end_all = lambda: None
slice_process.wait_for_end(lost)
assert lost.is_set()
print("lost", flush=True)
"""


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
