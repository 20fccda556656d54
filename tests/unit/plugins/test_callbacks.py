"""The progress display and the record of a run, from real playbook runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kraken_fleet.reconcile.deploys import recent

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


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """One run of three hosts of which two fail; gives its output and the state directory."""
    folder = tmp_path_factory.mktemp("callbacks")
    (folder / "play.yml").write_text(PLAYBOOK)
    (folder / "hosts").write_text(
        f"[all:vars]\nansible_connection=local\nansible_python_interpreter={sys.executable}\n[fleet]\na\nb\nc\n"
    )
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "kraken_ci.fleet.deploy_record",
        "ANSIBLE_STDOUT_CALLBACK": "kraken_ci.fleet.progress",
        "KRAKEN_FLEET_STATE_DIR": str(folder / "state"),
        "COLUMNS": "160",
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "hosts", folder / "play.yml"]
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
