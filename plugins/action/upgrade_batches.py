"""Divides the hosts of a play into batches that leave each agents group enough agents at work."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.registration import fleet_of

from kraken_fleet.plan import batches


class ActionModule(ControllerAction):
    """One call for the whole play. The inventory says who is in which group; no server is asked."""

    ARGUMENTS = arguments_of("upgrade_batches")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        inventory = PlayInventory(self, task_vars["hostvars"])
        # Only the groups matter here, not the addresses.
        fleet = fleet_of(inventory, task_vars["ansible_play_hosts_all"], resolve=None)
        made = batches(fleet.agents, arguments["serial"], arguments["max_unavailable"])
        numbers = {host: f"{number:05}" for number, batch in enumerate(made, 1) for host in batch}
        return {"changed": False, "batches": made, "number": numbers}
