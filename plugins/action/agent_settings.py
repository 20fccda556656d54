# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what the role's variables become on a Windows host, whose tasks are Ansible's own modules."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import (
    environment,
    of_role,
    refusals,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import UPSTREAM, WINDOWS, Place
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.host import role_settings


class ActionModule(ControllerAction):
    """Windows hosts have Kraken's own agent: kraken-fleet's does not run there."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {"directory": {"type": "str", "required": True}}

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        found = role_settings.values(task_vars, self._templar)
        role_settings.refuse(refusals(WINDOWS, found, role_settings.defaults(), UPSTREAM))
        directory = arguments["directory"]
        place = Place(WINDOWS, UPSTREAM, data=f"{directory}\\data", ca_bundle=f"{directory}\\{role_settings.CA_NAME}")
        options = of_role(WINDOWS, found)
        options["server_url"] = role_settings.server_for_agents(options["server_url"])
        return {
            "changed": False,
            "environment": environment(options, place, options["environment"]),
            "ca_bundle": role_settings.ca_text(str(options["ca_bundle"] or "")),
        }
