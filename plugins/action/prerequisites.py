"""Looks for Python and Git on a host through its shell alone, and installs them when it may."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.action import HostAction


class ActionModule(HostAction):
    """One round trip when nothing is missing."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "install": {"type": "bool", "default": True},
        "lock_timeout": {"type": "int", "default": 120},
        "environment": {"type": "dict", "default": {}},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        arguments["install_prerequisites"] = arguments["install"]
        return self.prepared(arguments, task_vars, only_looking=self._task.check_mode)[0]
