# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that look for Python and Git on a host, and may run a program of kraken-fleet there in the same round trip.

There is no module on the host: Ansible would pack it anew for each play and import AnsibleModule on each host, which
takes longer than everything that `agent_host` does, and a host without Python could not be asked at all. Becoming
another user, proxies, check mode and hosts without pipelining work as with a module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host_program import ANSWER
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import prerequisites
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.prerequisites import Found

from kraken_fleet.model import shown

_BY_HAND = "Install them by hand, or set kraken_prereqs_install to true"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back from a host: what it has, and the program's answer, None when it was not run."""

    found: Found
    answer: dict[str, Any] | None = None


class HostAction(ControllerAction):
    """Needs the arguments `install_prerequisites`, `lock_timeout` and `environment`, the agent's variables."""

    def prepared(
        self,
        arguments: Mapping[str, Any],
        task_vars: Mapping[str, Any],
        program: str = "",
        *,
        only_looking: bool,
        without_git: bool = False,
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the result as far as Python and Git are concerned, and the program's answer.

        Args:
            program: Python to run when the host has what it takes; see the function `program_of`.
            only_looking: whether nothing may be installed; then Python alone is enough for the program.
            without_git: whether the host can do without Git, and is to be left without.
        """
        interpreter = self._interpreter(task_vars)
        seen = self._see(interpreter, program, without_git=only_looking or without_git)
        missing = tuple(name for name in seen.found.missing if not (without_git and name == "git"))
        result = _result(seen.found, interpreter)
        if not missing:
            return result, seen.answer
        complaint = prerequisites.complaint(seen.found)
        if not arguments["install_prerequisites"]:
            return {**result, "failed": True, "msg": f"{complaint}. {_BY_HAND}"}, None
        command = prerequisites.install(seen.found, arguments["lock_timeout"])
        if not command:
            advice = f"{seen.found.system} has no apt-get, dnf, yum or zypper. Install them by hand"
            return {**result, "failed": True, "msg": f"{complaint}. {advice}"}, None
        change = {"changed": True, "diff": [_diff(missing)], "changes": [f"install {name}" for name in missing]}
        if only_looking:
            return {**result, **change}, seen.answer
        script = prerequisites.exports(prerequisites.proxies(arguments["environment"])) + command
        done = self._low_level_execute_command(prerequisites.FROM_INPUT, in_data=script.encode(), executable="/bin/sh")
        seen = self._see(interpreter, program, without_git=without_git)
        if seen.found.missing:
            still = prerequisites.complaint(seen.found)
            text = f"{complaint}. Installing did not help ({still}):\n{_words(done)}"
            return {**result, "failed": True, "msg": text}, None
        return {**_result(seen.found, interpreter), **change}, seen.answer

    def environment(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        """Return the variables of the task's keyword `environment`, and the agent's proxies."""
        found: dict[str, Any] = {}
        self._compute_environment_string(found)
        return {
            name: str(value) for name, value in {**found, **prerequisites.proxies(arguments["environment"])}.items()
        }

    def _see(self, interpreter: str, program: str, *, without_git: bool) -> Seen:
        if not program:
            done = self._run_on_host(prerequisites.look(interpreter))
        elif self._is_pipelining_enabled("new"):  # Ansible's word for what can go through standard input
            command = prerequisites.look_and_run(interpreter, without_git=without_git)
            done = self._run_on_host(command, program.encode())
        else:
            path = self._on_host(program)
            command = prerequisites.look_and_run(interpreter, path, without_git=without_git)
            done = self._run_on_host(command)
        return read(done)

    def _run_on_host(self, text: str, in_data: bytes | None = None) -> dict[str, Any]:
        command = prerequisites.one_line(text)
        # The shell is named, for `executable` in an ansible.cfg may name one that is no POSIX shell.
        done: dict[str, Any] = self._low_level_execute_command(command, in_data=in_data, executable="/bin/sh")
        return done

    def _on_host(self, program: str) -> str:
        """Put the program where the account that runs it can read it; Ansible removes it after the task."""
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        directory = self._connection._shell.tmpdir
        path: str = self._connection._shell.join_path(directory, "program.py")
        self._transfer_data(path, program)
        self._fixup_perms2((directory, path))
        return path

    def _interpreter(self, task_vars: Mapping[str, Any]) -> str:
        """Return the Python that the inventory names; empty when Ansible is to find one itself."""
        value = str(self._templar.template(task_vars.get("ansible_python_interpreter") or ""))
        return value if value.startswith("/") else ""


def read(done: Mapping[str, Any]) -> Seen:
    """Read what the host said.

    Raises:
        AnsibleActionFail: it was not what a shell and the program say.
    """
    output = str(done.get("stdout", ""))
    found = prerequisites.read(output)
    if not found.complete:
        raise AnsibleActionFail(f"The host's shell did not answer as a POSIX shell does: {_words(done)}")
    told = next((line[line.index(ANSWER) :] for line in output.splitlines() if ANSWER in line), None)
    if told is None and done.get("rc"):
        raise AnsibleActionFail(f"The program on the host ended before it had answered: {_words(done)}")
    return Seen(found, _neutral(json.loads(told[len(ANSWER) :])) if told else None)


def _neutral(answer: Any) -> Any:
    """Make what a host said harmless, so that it does nothing to the terminal that a diff or a message is shown on."""
    if isinstance(answer, str):
        return shown(answer)
    if isinstance(answer, dict):
        return {shown(name): _neutral(value) for name, value in answer.items()}
    return [_neutral(value) for value in answer] if isinstance(answer, list) else answer


def _words(done: Mapping[str, Any]) -> str:
    return shown(f"{done.get('stdout', '')}\n{done.get('stderr', '')}".strip()[-1500:])


def _diff(missing: tuple[str, ...]) -> dict[str, str]:
    after = "".join(f"{name}\n" for name in missing)
    return {"before": "", "after": after, "before_header": "packages", "after_header": "packages"}


def _result(found: Found, interpreter: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": False,
        "python": found.python,
        "python_version": found.version,
        "git": found.git,
        "system": found.system,
        "missing": list(found.missing),
    }
    if found.python and not interpreter:
        # Ansible need not look for itself, which would take another round trip and might find one that is too old.
        result["ansible_facts"] = {"discovered_interpreter_python": found.python}
    return result
