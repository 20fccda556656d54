# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes, renames and deletes one agents group."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, UnsafeChangeError
from kraken_fleet.model import ALL_GROUP, AgentsGroup


class ActionModule(ControllerAction):
    """Reads the groups, and changes one when it has to."""

    ARGUMENTS = arguments_of("agent_group")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        with client_of(arguments) as client:
            groups = {group.name: group for group in client.groups()}
            if arguments["state"] == "absent":
                return self._delete(client, groups.get(arguments["name"]), force=arguments["force"])
            return self._present(client, groups, arguments["name"], arguments["new_name"])

    def _present(
        self, client: KrakenClient, groups: dict[str, AgentsGroup], name: str, new_name: str
    ) -> dict[str, Any]:
        wanted = new_name or name
        if wanted in groups:
            if new_name and name in groups:
                raise FleetError(
                    f"There are two agents groups, {name} and {new_name}",
                    hint="Move the agents of one to the other and delete it",
                )
            return {"changed": False, "group": _shown(groups[wanted])}
        if new_name and name in groups:
            if ALL_GROUP in (name, new_name):
                raise UnsafeChangeError("The group all belongs to the server", hint="Leave it as it is")
            return self._changed(name, wanted, lambda: client.rename_group(groups[name].id, new_name))
        return self._changed("", wanted, lambda: client.create_group(wanted))

    def _delete(self, client: KrakenClient, group: AgentsGroup | None, *, force: bool) -> dict[str, Any]:
        if group is None:
            return {"changed": False, "group": None}
        if group.name == ALL_GROUP:
            raise UnsafeChangeError("The group all belongs to the server", hint="Leave it as it is")
        if group.agents_count and not force:
            raise UnsafeChangeError(
                f"The agents group {group.name} has {group.agents_count} agents, which would go on listing it",
                hint="Take them out of it first, or set force to true",
            )
        return self._changed(group.name, "", lambda: client.delete_group(group.id, force=force))

    def _changed(self, before: str, after: str, act: Any) -> dict[str, Any]:
        done = None if self._task.check_mode else act()
        result: dict[str, Any] = {"changed": True, "group": _shown(done) if isinstance(done, AgentsGroup) else None}
        result["diff"] = {
            "before": f"{before}\n" if before else "",
            "after": f"{after}\n" if after else "",
            "before_header": "agents group",
            "after_header": "agents group",
        }
        return result


def _shown(group: AgentsGroup) -> dict[str, Any]:
    return {"id": group.id, "name": group.name, "agents_count": group.agents_count}
