"""The controller's half of `agent_host`: reads the binaries and sends them along, so that one round trip is enough."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agents import on_host
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.bundles import sent_along

from kraken_fleet.errors import FleetError


class ActionModule(ActionBase):
    """Adds `binaries` to what the user wrote."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        arguments["instances"] = [on_host(one) for one in arguments.get("instances") or ()]
        if arguments.get("state", "present") != "absent" and not arguments.get("releases"):
            try:
                arguments.update(sent_along(arguments))
            except FleetError as error:
                return {"failed": True, "msg": str(error)}
        began = datetime.now(UTC)
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        result.get("invocation", {}).pop("module_args", None)  # the files, once more
        if result.get("changed") and any(
            change.startswith(("start ", "restart ")) for change in result.get("changes", ())
        ):
            # The controller's time: registration then knows an agent of before from the one that was started now.
            result["started_at"] = began.isoformat()
        return result
