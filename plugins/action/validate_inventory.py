"""Checks the variables of all hosts of a play before anything is done to any of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import role_specs
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.inventory import PlayInventory

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import fleet_from_hostvars

_SHOWN = 20


class ActionModule(ControllerAction):
    """One call for the whole play."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {"hosts": {"type": "list", "elements": "str"}}

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        hosts = arguments["hosts"] or task_vars["ansible_play_hosts_all"]
        inventory = PlayInventory(task_vars["hostvars"], self._templar)
        wrong = list(_problems(inventory, hosts))
        if not wrong:
            return {"changed": False, "hosts": len(hosts)}
        more = [f"... and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        text = "\n".join(["The inventory is wrong; nothing was done.", *wrong[:_SHOWN], *more])
        return {"failed": True, "msg": text, "problems": wrong}


def _problems(inventory: PlayInventory, hosts: list[str]) -> Iterator[str]:
    hostvars, found = {}, False
    skipped = role_specs.secrets()
    for host in hosts:
        try:
            hostvars[host] = inventory.variables(host, skip=skipped)
        except InventoryError as error:
            found = True
            yield str(error)
            continue
        own = {name: value for name, value in hostvars[host].items() if name.startswith("kraken_")}
        for problem in role_specs.problems(own):
            found = True
            yield f"host {host}: {problem}"
    servers = sorted({str(one["kraken_server_url"]) for one in hostvars.values() if one.get("kraken_server_url")})
    if len(servers) > 1:
        found = True
        yield f"hosts of one play belong to several servers ({', '.join(servers)}); deploy to each of them with --limit"
    if not found:
        yield from _fleet_problem(inventory, hostvars)


def _fleet_problem(inventory: PlayInventory, hostvars: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What only shows with all hosts side by side, such as an address that two of them have."""
    try:
        fleet_from_hostvars(
            hostvars,
            {host: inventory.groups(host) for host in hostvars},
            levels={host: inventory.levels(host) for host in hostvars},
            resolve=None,  # the host itself will say its address
            known=role_specs.options(),
        )
    except InventoryError as error:
        yield str(error)
