"""Looks for Python and Git on a host through its shell alone, and installs them when it may."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils import prerequisites
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.prerequisites import Found

_BY_HAND = "Install them by hand, or set kraken_prereqs_install to true"


class ActionModule(ControllerAction):
    """One round trip when nothing is missing."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "install": {"type": "bool", "default": True},
        "lock_timeout": {"type": "int", "default": 120},
        "environment": {"type": "dict", "default": {}},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        interpreter = self._interpreter(task_vars)
        found = self._look(interpreter)
        if not found.missing:
            return _result(found, interpreter)
        complaint = prerequisites.complaint(found)
        if not arguments["install"]:
            return {**_result(found, interpreter), "failed": True, "msg": f"{complaint}. {_BY_HAND}"}
        command = prerequisites.install(found, arguments["lock_timeout"])
        if not command:
            advice = f"{found.system} has no apt-get, dnf, yum or zypper. Install them by hand"
            return {**_result(found, interpreter), "failed": True, "msg": f"{complaint}. {advice}"}
        result = {**_result(found, interpreter), "changed": True}
        if self._task.diff:
            after = "".join(f"{name}\n" for name in found.missing)
            result["diff"] = {"before": "", "after": after, "before_header": "packages", "after_header": "packages"}
        if self._task.check_mode:
            return result
        through = prerequisites.proxies(arguments["environment"])
        return {**result, **self._install(through + command, complaint, interpreter)}

    def _install(self, script: str, complaint: str, interpreter: str) -> dict[str, Any]:
        done = self._low_level_execute_command(prerequisites.FROM_INPUT, in_data=script.encode(), executable="/bin/sh")
        found = self._look(interpreter)
        if not found.missing:
            return _result(found, interpreter)
        words = f"{done.get('stdout', '')}\n{done.get('stderr', '')}".strip()[-1500:]
        still = prerequisites.complaint(found)
        return {"failed": True, "msg": f"{complaint}. Installing did not help ({still}):\n{words}"}

    def _look(self, interpreter: str) -> Found:
        done = self._low_level_execute_command(prerequisites.look(interpreter), executable="/bin/sh")
        found = prerequisites.read(str(done.get("stdout", "")))
        if not found.complete:
            words = f"{done.get('stdout', '')}\n{done.get('stderr', '')}".strip()[-1500:]
            raise AnsibleActionFail(f"the host's shell did not answer as a POSIX shell does: {words}")
        return found

    def _interpreter(self, task_vars: dict[str, Any]) -> str:
        """The Python that the inventory names; empty when Ansible is to find one itself."""
        value = str(self._templar.template(task_vars.get("ansible_python_interpreter") or ""))
        return value if value.startswith("/") else ""


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
