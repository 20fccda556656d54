"""What the inventory of a running play says of its hosts, each level of it apart.

Ansible keeps one value for a variable, the most specific one. `kraken_agent_groups` adds up over all levels instead, so
they are read here from Ansible's own inventory as it is at that moment: `--limit`, add_host, vars plugins and templates
all count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import GROUPS_VARIABLE, Level

PREFIX = "kraken_"
# What the deploy registers about a host; see roles/kraken_agent.
HOST_RESULT = "__kraken_agent_host"
_DETECTED = "kraken_agent_detected_address"
_CONNECTION = ("ansible_host",)


class PlayInventory:
    """The inventory of a play, read in the process that runs a task.

    Args:
        hostvars: the variable `hostvars` of the task.
        templar: the task's own.
    """

    def __init__(self, hostvars: Any, templar: Any) -> None:
        self._hostvars = hostvars
        self._inventory = hostvars._inventory
        self._loader = hostvars._loader
        self._templar = templar
        self._group_levels: dict[str, Any] = {}

    def variables(self, host: str, skip: Iterable[str] = ()) -> dict[str, Any]:
        """The `kraken_*` variables of a host and what Ansible connects to, templates filled in.

        Args:
            skip: names whose value nobody needs: it is None.

        Raises:
            InventoryError: a template cannot be filled in.
        """
        raw, hidden = self._hostvars.raw_get(host), frozenset(skip)
        names = [name for name in raw if name.startswith(PREFIX) or name in _CONNECTION]
        found = {name: None if name in hidden else self._filled(host, name, raw[name], raw) for name in names}
        if address := self._detected(raw):
            found[_DETECTED] = address
        return found

    def groups(self, host: str) -> list[str]:
        """Every inventory group of a host."""
        return [group.name for group in self._host(host).get_groups()]

    def levels(self, host: str) -> list[Level]:
        """What each level of the inventory sets kraken_agent_groups to, the most general one first.

        Raises:
            InventoryError: a template cannot be filled in.
        """
        entry = self._host(host)
        groups = sorted(entry.get_groups(), key=lambda group: (group.depth, group.priority, group.name))
        found = [(f"inventory group {group.name}", self._of_group(group)) for group in groups]
        found.append((f"host {host}", self._of_entity(entry, entry.vars)))
        levels = [(source, value) for source, value in found if value is not None]
        raw = self._hostvars.raw_get(host) if levels else {}
        return [(source, self._filled(host, GROUPS_VARIABLE, value, raw)) for source, value in levels]

    def _host(self, name: str) -> Any:
        return self._inventory.get_host(name)

    def _of_group(self, group: Any) -> Any:
        if group.name not in self._group_levels:
            self._group_levels[group.name] = self._of_entity(group, group.get_vars())
        return self._group_levels[group.name]

    def _of_entity(self, entity: Any, own: Mapping[str, Any]) -> Any:
        """The variable in the inventory itself, then in group_vars or host_vars beside it and beside the playbook."""
        found = own.get(GROUPS_VARIABLE)
        for more in (
            get_vars_from_inventory_sources(self._loader, self._inventory._sources, [entity], "task"),
            get_vars_from_path(self._loader, self._loader.get_basedir(), [entity], "task"),
        ):
            found = more.get(GROUPS_VARIABLE, found)
        return found

    def _filled(self, host: str, name: str, value: Any, variables: Mapping[str, Any]) -> Any:
        templar = self._templar.copy_with_new_env(available_variables=variables)
        try:
            # Plain values: Ansible's own know where they come from, which no dataclass or YAML writer wants.
            return json.loads(json.dumps(templar.template(value)))
        except (AnsibleError, TypeError, ValueError) as error:
            hint = "Correct the template, or what it refers to"
            raise InventoryError(f"it cannot be filled in: {error}", host=host, variable=name, hint=hint) from error

    @staticmethod
    def _detected(raw: Mapping[str, Any]) -> str:
        """The address that agent_host has found on the host earlier in this play."""
        result = raw.get(HOST_RESULT)
        agents = result.get("agents", []) if isinstance(result, Mapping) else []
        return str(agents[0].get("address") or "") if len(agents) == 1 else ""
