"""The progress display and the record of a run, from real playbook runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from kraken_fleet.deploys import recent

ROOT = Path(__file__).parents[3]
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Make something
      ansible.builtin.command: "true"
      changed_when: true
    - name: Refuse one host
      ansible.builtin.fail: {msg: "the disk is full"}
      when: inventory_hostname == 'b'
    - name: Keep a secret
      ansible.builtin.fail: {msg: "s3cret-word"}
      no_log: true
      when: inventory_hostname == 'c'
"""


SLOW = """
- name: Install
  hosts: all
  gather_facts: false
  tasks:
    - name: Take a while
      ansible.builtin.command: sleep {{ 4 if inventory_hostname == 'b' else 0 }}
      changed_when: false
"""


def _environment(folder: Path) -> dict[str, str]:
    (folder / "hosts").write_text(
        f"[all:vars]\nansible_connection=local\nansible_python_interpreter={sys.executable}\n[fleet]\na\nb\nc\n"
    )
    return os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "kraken_ci.fleet.deploy_record",
        "ANSIBLE_STDOUT_CALLBACK": "kraken_ci.fleet.progress",
        "KRAKEN_FLEET_STATE_DIR": str(folder / "state"),
        "COLUMNS": "160",
    }


def _command(folder: Path, play: str) -> list[str | Path]:
    (folder / "play.yml").write_text(play)
    return [Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "hosts", folder / "play.yml"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """One run of three hosts of which two fail; gives its output and the state directory."""
    folder = tmp_path_factory.mktemp("callbacks")
    environment, command = _environment(folder), _command(folder, PLAYBOOK)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 2, done.stderr
    return done.stdout + done.stderr, folder / "state"


def test_away_from_a_terminal_each_task_is_one_line(run: tuple[str, Path]) -> None:
    assert "Make something: 3 hosts" in run[0]
    assert run[0].count("Make something") == 1


def test_a_failure_is_named_with_its_host_and_reason(run: tuple[str, Path]) -> None:
    assert "b: failed in Refuse one host: the disk is full" in run[0]


def test_what_no_log_hides_is_neither_shown_nor_recorded(run: tuple[str, Path]) -> None:
    output, state = run
    assert "s3cret-word" not in output
    assert "hidden by no_log" in output
    assert all("s3cret-word" not in path.read_text() for path in state.rglob("*.json"))


def test_the_table_at_the_end_names_every_host(run: tuple[str, Path]) -> None:
    table = run[0].split("3 hosts in")[1]
    assert all(f"│ {host} " in table for host in "abc")


def test_the_run_is_remembered_with_every_host_result(run: tuple[str, Path]) -> None:
    (deploy,) = recent(run[1])
    assert deploy.playbook == "play.yml"
    assert deploy.failed_hosts == ("b", "c")
    assert (deploy.hosts["a"].ok, deploy.hosts["a"].changed) == (1, 1)
    assert deploy.hosts["b"].message == "the disk is full"


def _on_a_terminal(command: list[str | Path], environment: dict[str, str]) -> tuple[int, str]:
    """Runs a command on a terminal of its own; its exit code and all that it drew there."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    with subprocess.Popen(command, env=environment, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        drawn = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody has it open any more
            while piece := os.read(ours, 65536):
                drawn += piece
        os.close(ours)
        return process.wait(), drawn.decode()


def test_on_a_terminal_a_bar_counts_the_hosts_and_names_the_slow_one_while_it_works(tmp_path: Path) -> None:
    environment = {**_environment(tmp_path), "KRAKEN_FLEET_PROGRESS_SLOW_SECONDS": "1", "TERM": "xterm"}
    code, drawn = _on_a_terminal(_command(tmp_path, SLOW), environment)
    assert code == 0, drawn
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert re.search(r"Install .*2/3 hosts.* Take a while · 1 waiting · slow: b \d+ s", text), text
    assert "3 hosts in" in text
    assert "Take a while: 3 hosts" not in text, "plain lines are for what is no terminal"
