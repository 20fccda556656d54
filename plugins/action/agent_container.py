# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `agent_container`: the role's variables, and the file with certificate authorities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import DOCKER
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host.container_action import ContainerAction


class ActionModule(ContainerAction):
    """The module on the host does the work."""

    METHOD = DOCKER
    ARGUMENTS = arguments_of("agent_container")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] == "present":
            arguments["ca_bundle"] = role_settings.ca_text(arguments["ca_bundle"])
        # Before the start: registration then takes no record of an earlier agent for that of this one.
        began = datetime.now(UTC)
        result: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if result.get("changed") and any(change.startswith("start ") for change in result.get("changes") or ()):
            result["started_at"] = began.isoformat()
        return result
