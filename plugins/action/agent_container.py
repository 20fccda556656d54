"""The controller's half of `agent_container`: the role's variables, and the file with certificate authorities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import DOCKER
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.telling import tell, what_changed

from kraken_fleet.errors import FleetError


class ActionModule(ActionBase):
    """The module on the host does the work."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        try:
            arguments = role_settings.completed(DOCKER, self._task.args, task_vars or {}, self._templar)
            if arguments.get("state") != "absent":
                arguments["ca_bundle"] = role_settings.ca_text(str(arguments.get("ca_bundle") or ""))
        except FleetError as error:
            return {"failed": True, "msg": str(error)}
        began = datetime.now(UTC)
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("changed") and any(change.startswith("start ") for change in result.get("changes") or ()):
            result["started_at"] = began.isoformat()
        host = (task_vars or {}).get("inventory_hostname", "")
        tell(self._display, what_changed(host, result, predicted=self._task.check_mode))
        return result
