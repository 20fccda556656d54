"""How Ansible's programs are started: those that are asked about an inventory print what a program reads."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

# Whatever an ansible.cfg says: an environment variable outweighs it. What says how to read an inventory stays.
_PLAIN = {
    "ANSIBLE_VERBOSITY": "0",
    "ANSIBLE_DEBUG": "0",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    "ANSIBLE_STRATEGY": "ansible.builtin.linear",
    "ANSIBLE_LOCALHOST_WARNING": "0",
    # Of --limit: a name that is mistyped must not make an empty fleet, or leave nobody out.
    "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
    # What it answers can hold a password, which belongs into no log file.
    "ANSIBLE_LOG_PATH": os.devnull,
}


def ansible_environment() -> dict[str, str]:
    """Return this process's environment, with Ansible's output as plain as its default."""
    return {**_in_utf8(os.environ), **_PLAIN}


def _in_utf8(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with a locale in UTF-8: Ansible does not start in another, such as LC_ALL=C."""
    # The first of them that is set and not empty counts.
    locale = next(filter(None, map(environment.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    if "UTF8" in locale.upper().replace("-", ""):
        return dict(environment)
    return {**environment, "LC_ALL": "C.UTF-8"}


def run_ansible(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a program of Ansible, with its output as plain as its default.

    Args:
        timeout: seconds.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    return subprocess.run(
        command,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
        env=ansible_environment(),
    )


def start_ansible(
    command: Sequence[str], environment: Mapping[str, str], *, own_group: bool = False
) -> subprocess.Popen[str]:
    """Start a program of Ansible, such as ansible-playbook, whose output and errors are read line by line.

    Args:
        own_group: give it a process group of its own, so that it can be ended together with the workers it forks.
    """
    return subprocess.Popen(
        command,
        env=_in_utf8(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=own_group,
    )
