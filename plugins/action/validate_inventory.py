# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the variables of all hosts of a play before anything is done to any of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import InventoryError, UsageError
from kraken_fleet.inventory import (
    fleet_from_hostvars,
    listed,
    merged,
    problems_of_host,
    unchecked_updates,
    unsure_hosts,
)
from kraken_fleet.model import UncheckedUpdates


class ActionModule(ControllerAction):
    """One call for the whole play."""

    ARGUMENTS = arguments_of("validate_inventory")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        # All hosts of the play, not only those of this batch: nothing is done to any before all are right.
        hosts = arguments["hosts"] or task_vars["ansible_play_hosts_all"]
        inventory = PlayInventory(self, task_vars["hostvars"])
        hostvars: dict[str, dict[str, Any]] = {}
        wrong = merged(_problems(inventory, hosts, hostvars, one_server=arguments["one_server"]))
        if not wrong:
            return {
                "changed": False,
                "hosts": len(hosts),
                "hosts_to_ask": unsure_hosts(hostvars) if arguments["ask_hosts"] else [],
                "warnings": _warnings(inventory, hostvars),
            }
        text = f"The inventory is wrong; nothing was done.\n{listed(wrong)}"
        return {"failed": True, "msg": text, "problems": [str(problem) for problem in wrong]}


def _warnings(inventory: PlayInventory, hostvars: dict[str, dict[str, Any]]) -> list[str]:
    unread = [
        f"{file.path} sets {', '.join(file.variables)}, and this play does not read it: Ansible looks beside the "
        "inventory and beside the playbook that has the play. Move it beside the inventory"
        for file in inventory.unread_files()
    ]
    servers: dict[UncheckedUpdates, list[str]] = {}
    for one in unchecked_updates(hostvars):
        servers.setdefault(dataclasses.replace(one, host=""), []).append(one.host)
    return unread + [f"{', '.join(hosts)}: {one.message}. {one.hint}" for one, hosts in servers.items()]


def _problems(
    inventory: PlayInventory, hosts: list[str], hostvars: dict[str, dict[str, Any]], *, one_server: bool
) -> Iterator[InventoryError]:
    """Find what is wrong; `hostvars` is filled with the variables of the hosts."""
    found = False
    for host in hosts:
        hostvars[host], unfilled = inventory.examine(host)
        for problem in [*unfilled, *problems_of_host(host, hostvars[host])]:
            found = True
            yield problem
    for problem in _server_problems(hostvars, one_server=one_server):
        found = True
        yield problem
    if not found:
        yield from _fleet_problems(inventory, hostvars)


def _server_problems(hostvars: dict[str, dict[str, Any]], *, one_server: bool) -> Iterator[InventoryError]:
    """Find addresses of servers that cannot be read, and, when there may be but one, servers that differ."""
    roots = set()
    for host, variables in hostvars.items():
        for name in ("kraken_server_url", "kraken_agent_server_url"):
            try:
                root = ServerAddress.parse(str(variables[name])).root if variables.get(name) else ""
            except UsageError as error:
                yield InventoryError(error.message, host=host, variable=name, hint=error.hint)
                continue
            if root and name == "kraken_server_url":
                roots.add(root)
    if one_server and len(roots) > 1:
        text = f"Hosts of one play belong to several servers: {', '.join(sorted(roots))}"
        yield InventoryError(text, variable="kraken_server_url", hint="Deploy to each of them with --limit")


def _fleet_problems(inventory: PlayInventory, hostvars: dict[str, dict[str, Any]]) -> Iterator[InventoryError]:
    """Find what only shows with all hosts side by side, such as an address that two of them have."""
    try:
        fleet_from_hostvars(
            hostvars,
            {host: inventory.groups(host) for host in hostvars},
            levels={host: inventory.levels(host) for host in hostvars},
            resolve=None,  # the host itself will say its address
        )
    except InventoryError as error:
        yield from error.problems or [error]
