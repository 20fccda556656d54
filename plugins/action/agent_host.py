"""The controller's half of `agent_host`: reads the binaries and sends them along, so that one round trip is enough."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.bundles import sent_along

from kraken_fleet.errors import FleetError


class ActionModule(ActionBase):
    """Adds `binaries` to what the user wrote."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("state", "present") != "absent":
            try:
                arguments.update(sent_along(arguments))
            except FleetError as error:
                return {"failed": True, "msg": str(error)}
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        result.get("invocation", {}).pop("module_args", None)  # the files, once more
        return result
