"""Running a playbook of the collection on a lab, as a user would: ansible-playbook as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from kraken_fleet.collection import collection_root
from kraken_fleet.errors import FleetError, LabError, PartialFailureError
from kraken_fleet.inventory import start_ansible
from kraken_fleet.lab.events import Deployed, LabEvents, OutputLine
from kraken_fleet.lab.processes import MARK
from kraken_fleet.lab.state import LabPaths
from kraken_fleet.model import Deploy
from kraken_fleet.state import recent_deploys

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?:[\w.]+ : )?(?P<name>.*?)\] \**$")
_TAIL_LINES = 25
_PATIENCE = 5.0


def run_playbook(paths: LabPaths, playbook: str, *extra: str) -> LabEvents:
    """Run one playbook; yields each line, then one Deployed. Closing the iterator ends the process and its children.

    Args:
        paths: of the lab, whose inventory and configuration are used.
        playbook: the file's name in the collection's `playbooks/`.
        extra: more arguments of ansible-playbook.

    Raises:
        LabError: the playbook failed; the message ends with what it printed last.
    """
    file = collection_root() / "playbooks" / playbook
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(paths.inventory), str(file), *extra]
    # The callback deploy_record writes the file; a playbook that fails early writes none, and an older one must not be
    # taken for it.
    before = recent_deploys(paths.directory, limit=1)
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with start_ansible(command, ansible_environment(paths), own_group=True) as process:
        try:
            yield from _lines(process, tail)
        finally:
            _end(process)
    recorded = [deploy for deploy in recent_deploys(paths.directory, limit=1) if deploy not in before]
    if process.returncode:
        raise _failure(paths, playbook, recorded, tail)
    yield from map(Deployed, recorded)


def _failure(paths: LabPaths, playbook: str, recorded: list[Deploy], tail: Iterable[str]) -> FleetError:
    """Return what went wrong on each host when Ansible came so far, else the last lines that it printed."""
    hint = f"Look at the lab in {paths.directory}, then `{paths.down_command}`"
    failures = {host: deploy.hosts[host].message or "failed" for deploy in recorded for host in deploy.failed_hosts}
    if failures:
        alike: dict[str, list[str]] = {}
        for host, message in failures.items():
            alike.setdefault(message, []).append(host)
        said = "; ".join(f"{', '.join(hosts)}: {message}" for message, hosts in alike.items())
        return PartialFailureError(f"The playbook failed: {said}", failures=failures, where=playbook, hint=hint)
    return LabError("ansible-playbook failed and said:\n" + "\n".join(tail), where=playbook, hint=hint)


def ansible_environment(paths: LabPaths) -> dict[str, str]:
    """Return this process's environment, with Ansible's settings taken from the lab and from nowhere else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KRAKEN_"))}
    programs = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {
        "ANSIBLE_CONFIG": str(paths.ansible_config),
        # Without it Ansible says that a task has begun only when the first host is done with it.
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true",
        "ANSIBLE_NOCOLOR": "1",
        MARK: str(paths.directory),
        "KRAKEN_FLEET_STATE_DIR": str(paths.directory),
        "PATH": programs,
        "PYTHONUNBUFFERED": "1",
    }


def _lines(process: subprocess.Popen[str], tail: deque[str]) -> Iterator[OutputLine]:
    for line in process.stdout or ():
        text = line.rstrip("\n")
        tail.append(text)
        found = _TASK.match(text)
        yield OutputLine(text, found["name"] if found else None)
    process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """End what still runs of it, with the workers it has forked."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            continue
