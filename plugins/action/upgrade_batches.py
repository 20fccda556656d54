# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Divides the hosts of a play into batches that leave each agents group enough agents in service."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    client_of,
    playbook_owner,
)
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.registration import fleet_of

from kraken_fleet.errors import InventoryError
from kraken_fleet.model import DesiredFleet
from kraken_fleet.reconcile.upgrade_batches import upgrade_batches


class ActionModule(ControllerAction):
    """One call for the whole play: groups come from the inventory, agents that are out of service from the server."""

    ARGUMENTS = arguments_of("upgrade_batches")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        inventory = PlayInventory(self, task_vars["hostvars"])
        hosts = task_vars["ansible_play_hosts_all"]
        # Only the groups matter here, not the addresses.
        fleet = fleet_of(inventory, hosts, resolve=None)
        with client_of(arguments) as client:
            known = _with_addresses(inventory, hosts) or fleet
            sizes = (arguments["serial"], arguments["max_unavailable"])
            made = upgrade_batches(client, known, playbook_owner(), *sizes, check=self._task.check_mode)
        # With leading zeros: the playbook sorts the names of the batches' groups as text.
        numbers = {host: f"{number:05}" for number, batch in enumerate(made.hosts, 1) for host in batch}
        return {"changed": False, "batches": made.hosts, "number": numbers, "left": made.left}


def _with_addresses(inventory: PlayInventory, hosts: list[str]) -> DesiredFleet | None:
    """Return the fleet with the agents' addresses; None while some of them are known to their hosts only."""
    try:
        return fleet_of(inventory, hosts)
    except InventoryError:
        return None
