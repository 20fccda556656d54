"""The progress display and the record of a run, from real playbook runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kraken_fleet.state import recent_deploys
from tests.terminal import on_a_terminal

ROOT = Path(__file__).parents[3]
CHANGE = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Make something
      ansible.builtin.command: "true"
      changed_when: true
"""
PLAYBOOK = (
    CHANGE
    + """\
    - name: Refuse one host
      ansible.builtin.fail: {msg: "the disk is full"}
      when: inventory_hostname == 'b'
    - name: Keep a secret
      ansible.builtin.fail: {msg: "s3cret-word"}
      no_log: true
      when: inventory_hostname == 'c'
"""
)


SLOW = """
- name: Install
  hosts: all
  gather_facts: false
  tasks:
    - name: Take a while
      # b goes on for 4 s when the others are done.
      ansible.builtin.shell: |
        if [ {{ inventory_hostname }} = b ]; then
          until [ -e {{ playbook_dir }}/a.done ] && [ -e {{ playbook_dir }}/c.done ]; do sleep 0.1; done
          sleep 4
        fi
        touch {{ playbook_dir }}/{{ inventory_hostname }}.done
        test {{ inventory_hostname }} != c
      changed_when: false

- name: Check
  hosts: all
  gather_facts: false
  tasks:
    - name: Look again
      ansible.builtin.command: sleep 1
      changed_when: false
"""


SKIPPED = """
- name: What nobody needs
  hosts: all
  gather_facts: false
  tasks:
    - name: Only on Windows
      ansible.builtin.command: "true"
      when: false

- name: What one needs
  hosts: all
  gather_facts: false
  tasks:
    - name: Only on b
      ansible.builtin.shell: sleep 1
      changed_when: true
      when: inventory_hostname == 'b'
    - name: Nowhere
      ansible.builtin.command: "true"
      when: false
"""


HANDLER = (
    CHANGE
    + """\
      notify: Restart what changed
  handlers:
    - name: Restart what changed
      ansible.builtin.command: "true"
      changed_when: true
"""
)


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
    (deploy,) = recent_deploys(run[1])
    assert deploy.playbook == "play.yml"
    assert deploy.failed_hosts == ("b", "c")
    assert (deploy.hosts["a"].ok, deploy.hosts["a"].changed) == (1, 1)
    assert deploy.hosts["b"].message == "the disk is full"


def test_each_task_is_remembered_with_its_results_and_no_result_where_it_was_skipped(run: tuple[str, Path]) -> None:
    (deploy,) = recent_deploys(run[1])
    assert [(task.name, dict(task.results)) for task in deploy.tasks] == [
        ("Make something", {"a": "changed", "b": "changed", "c": "changed"}),
        ("Refuse one host", {"b": "failed"}),
        ("Keep a secret", {"c": "failed"}),
    ]
    assert all(task.seconds >= 0 for task in deploy.tasks)


def test_on_a_terminal_a_bar_counts_the_hosts_and_names_the_slow_one_while_it_works(tmp_path: Path) -> None:
    environment = {**_environment(tmp_path), "KRAKEN_FLEET_PROGRESS_SLOW_SECONDS": "1"}
    code, text = on_a_terminal(_command(tmp_path, SLOW), environment)
    assert code == 2, text
    assert re.search(r"Install .*2/3 hosts.* Take a while · 1 waiting · 1 failed · slow: b \d+ s", text), text
    # Who has failed takes no part in what comes after, and nobody waits for it.
    assert re.search(r"Check .*2/3 hosts.* · 0 waiting · 1 failed", text), text
    assert "3 hosts in" in text
    assert "Take a while: 3 hosts" not in text, "plain lines are for what is no terminal"


def test_what_is_skipped_is_neither_shown_nor_counted(tmp_path: Path) -> None:
    command, environment = _command(tmp_path, SKIPPED), _environment(tmp_path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    shown = done.stdout.partition("3 hosts in")[0]
    assert shown.split("\n")[:2] == ["== What one needs", "   Only on b: 1 hosts"], done.stdout
    assert not any(word in shown for word in ("nobody", "Windows", "Nowhere"))

    code, text = on_a_terminal(command, environment)
    assert code == 0, text
    last = text.partition("3 hosts in")[0].rstrip().splitlines()[-1].rpartition("\r")[2]
    assert re.search(r"What one needs .* 1/1 hosts", last), text


def test_a_handler_is_shown_like_any_task(tmp_path: Path) -> None:
    done = subprocess.run(
        _command(tmp_path, HANDLER),
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "Restart what changed: 3 hosts" in done.stdout
    assert "Make something: 3 hosts" in done.stdout
    assert "callback" not in done.stderr, "Ansible warns of a callback that fails"


def test_ansibles_own_output_stays_unless_this_one_is_chosen(tmp_path: Path) -> None:
    environment = {name: text for name, text in _environment(tmp_path).items() if name != "ANSIBLE_STDOUT_CALLBACK"}
    command = _command(tmp_path, PLAYBOOK)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "TASK [Make something] ***" in done.stdout
    assert "PLAY RECAP ***" in done.stdout
    assert "Make something: 3 hosts" not in done.stdout
