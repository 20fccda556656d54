"""Divides the hosts of a play into batches that leave each agents group enough agents at work."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils import role_specs
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play_inventory import PlayInventory

from kraken_fleet.inventory import fleet_from_hostvars
from kraken_fleet.plan import batches


class ActionModule(ControllerAction):
    """One call for the whole play. The inventory says who is in which group; no server is asked."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "serial": {"type": "list", "elements": "str", "default": ["25%"]},
        "max_unavailable": {"type": "str", "default": "50%"},
    }

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        inventory = PlayInventory(task_vars["hostvars"], self._templar)
        hosts = task_vars["ansible_play_hosts_all"]
        hidden = role_specs.secrets()
        fleet = fleet_from_hostvars(
            {host: inventory.variables(host, skip=hidden) for host in hosts},
            {host: inventory.groups(host) for host in hosts},
            levels={host: inventory.levels(host) for host in hosts},
            resolve=lambda name: name,  # only the groups matter here
            known=role_specs.options(),
        )
        made = batches(fleet.agents, arguments["serial"], arguments["max_unavailable"])
        numbers = {host: f"{number:05}" for number, batch in enumerate(made, 1) for host in batch}
        return {"changed": False, "batches": made, "number": numbers}
