"""Running a playbook on a lab: what it tells, how it fails, and that it ends when nobody wants it any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.errors import LabError, PartialFailureError
from kraken_fleet.lab import files, playbook, processes
from kraken_fleet.lab.events import Deployed, OutputLine
from kraken_fleet.lab.local import LocalDriver
from kraken_fleet.lab.state import LabPaths, lab_paths
from tests.waiting import eventually, until

_PLAY = """
- name: Test
  hosts: kraken_agents
  gather_facts: false
  tasks:
    - name: Say something
      ansible.builtin.debug:
        msg: hello
    - name: Do something
      ansible.builtin.command:
        cmd: "{command}"
      changed_when: false
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabPaths:
    """A lab of two hosts, for playbooks of the test's own."""
    real = files.collections_setting()
    monkeypatch.setattr(files, "collections_setting", lambda: real)
    monkeypatch.setattr(playbook, "collection_root", lambda: tmp_path)
    (tmp_path / "playbooks").mkdir()
    found = lab_paths(tmp_path, "demo")
    found.directory.mkdir(parents=True)
    files.write_password(found)
    files.write_ansible_config(found)
    hosts = LocalDriver().create(found.directory, ["build-1", "build-2"])
    files.write_inventory(found, hosts, "http://127.0.0.1:1")
    return found


def _write(paths: LabPaths, command: str) -> str:
    path = paths.directory.parent.parent / "playbooks" / "test.yml"
    path.write_text(_PLAY.format(command=command))
    return path.name


def test_tasks_are_told_as_they_begin_and_the_numbers_at_the_end(paths: LabPaths) -> None:
    events = list(playbook.run_playbook(paths, _write(paths, "true")))
    tasks = [event.task for event in events if isinstance(event, OutputLine) and event.task]
    assert tasks == ["Say something", "Do something"]
    deployed = events[-1]
    assert isinstance(deployed, Deployed)
    assert {name: host.changed for name, host in deployed.deploy.hosts.items()} == {"build-1": 0, "build-2": 0}


def test_a_failure_names_each_host_and_its_reason(paths: LabPaths) -> None:
    with pytest.raises(PartialFailureError) as caught:
        list(playbook.run_playbook(paths, _write(paths, "sh -c 'echo no-such-luck >&2; exit 3'")))
    assert set(caught.value.failures) == {"build-1", "build-2"}
    assert "test.yml" in str(caught.value)
    assert str(paths.directory) in str(caught.value)


def test_a_playbook_that_ansible_cannot_read_shows_what_ansible_said(paths: LabPaths) -> None:
    _write(paths, "true")
    (paths.directory.parent.parent / "playbooks" / "test.yml").write_text("- hosts: [")
    with pytest.raises(LabError, match=r"(?s)ansible-playbook failed and said.*YAML"):
        list(playbook.run_playbook(paths, "test.yml"))


def test_closing_it_ends_ansible_and_what_ansible_started(paths: LabPaths) -> None:
    events = playbook.run_playbook(paths, _write(paths, "sleep 500"))
    for event in events:
        if isinstance(event, OutputLine) and event.task == "Do something":
            break
    until(lambda: len(processes.running_in(paths.directory)) >= 3)
    events.close()
    eventually(lambda: processes.running_in(paths.directory), lambda found: not found)
