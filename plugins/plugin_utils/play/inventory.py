# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory of a running play says of its hosts, each level of it apart.

Ansible keeps one value for a variable, the most specific one. `kraken_agent_groups` adds up over all levels instead, so
they are read here from Ansible's own inventory as it is at that moment: `--limit`, add_host, vars plugins and templates
all count. So does what `vars:` of the play or of the task's role say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HostResults
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.templates import FAULTS, Templates

from kraken_fleet.collection import secret_variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import GROUPS_VARIABLE, SERVER_VARIABLES, Level, unread_files
from kraken_fleet.model import UnreadFile

PREFIX = "kraken_"
# What it registers about the server; see roles/kraken_registration.
SERVER_RESULT = "__kraken_registration"
_DETECTED = "kraken_agent_detected_address"
_CONNECTION = ("ansible_host",)
_FOR_THE_SERVER = SERVER_VARIABLES.union(_CONNECTION)
_NOTHING = object()
# An empty list would mean all hosts.
_NO_HOSTS = ["kraken-fleet-no-host"]


class PlayInventory:
    """The inventory of a play, read in the process that runs a task.

    Args:
        action: the action that runs.
        hostvars: the variable `hostvars` of its task.
        results: what the deploy has found on the hosts; by default what this play has registered.
    """

    def __init__(self, action: ActionBase, hostvars: Any, results: HostResults | None = None) -> None:
        self._task = action._task
        self._templates = Templates(action._templar)
        self._hostvars = hostvars
        self._results = results or HostResults(hostvars)
        # Ansible hands no inventory to an action; this is the one that the play runs with, add_host and all.
        self._inventory = hostvars._inventory
        self._loader = hostvars._loader
        self._group_levels: dict[str, Any] = {}
        self._raw: dict[str, dict[str, Any]] = {}
        self._secrets: dict[tuple[str, frozenset[str]], InventoryError | None] = {}

    def variables(self, host: str) -> dict[str, Any]:
        """Read the `kraken_*` variables of a host and what Ansible connects to.

        Templates are filled in in those that speak of the server; the value of all others is None.

        Raises:
            InventoryError: a template cannot be filled in.
        """
        raw = self._raw_of(host)
        found = {
            name: self._filled(host, name, raw[name], raw) if name in _FOR_THE_SERVER else None
            for name in raw
            if name.startswith(PREFIX) or name in _CONNECTION
        }
        return self._with_address(host, found)

    def examine(self, host: str) -> tuple[dict[str, Any], list[InventoryError]]:
        """Read all `kraken_*` variables of a host, and say which of them cannot be filled in.

        A secret is tried out and then forgotten: its value is None, as is that of a variable that cannot be filled in.
        """
        raw = self._raw_of(host)
        found: dict[str, Any] = {}
        problems: list[InventoryError] = []
        for name in [name for name in raw if name.startswith(PREFIX) or name in _CONNECTION]:
            found[name] = None
            try:
                if name in secret_variables():
                    self._try_secret(host, name, raw)
                else:
                    found[name] = self._filled(host, name, raw[name], raw)
            except InventoryError as error:
                problems.append(error)
        return self._with_address(host, found), problems

    def groups(self, host: str) -> list[str]:
        """Return every inventory group of a host."""
        return [group.name for group in self._host(host).get_groups()]

    def unread_files(self) -> tuple[UnreadFile, ...]:
        """Find files of variables that look as if they belonged to the play, and that Ansible does not read for it."""
        names = {*self._inventory.hosts, *self._inventory.groups}
        return unread_files(self._inventory._sources, self._loader.get_basedir(), names)

    def levels(self, host: str) -> list[Level]:
        """Return what each level of the inventory sets kraken_agent_groups to, the most general one first.

        Raises:
            InventoryError: a template cannot be filled in.
        """
        entry = self._host(host)
        groups = sorted(entry.get_groups(), key=lambda group: (group.depth, group.priority, group.name))
        found = [(f"inventory group {group.name}", self._of_group(group)) for group in groups]
        found.append((f"host {host}", self._of_entity(entry, entry.vars)))
        levels = [(source, value) for source, value in found if value is not None]
        raw = self._raw_of(host) if levels else {}
        return [(source, self._filled(host, GROUPS_VARIABLE, value, raw)) for source, value in levels]

    def _raw_of(self, host: str) -> dict[str, Any]:
        """Return all variables of a host as they are written: its own, and those of the play and of the task's role."""
        if host not in self._raw:
            own = self._hostvars.raw_get(host)
            self._results.of(host, own)  # so that nobody gathers them once more
            seen = self._hostvars._variable_manager.get_vars(
                play=self._task.get_play(),
                host=self._host(host),
                task=self._task,
                include_hostvars=False,
                # Else the lists of all hosts are made for each host, which nobody reads here.
                _hosts=_NO_HOSTS,
                _hosts_all=_NO_HOSTS,
            )
            # That a role has a default does not mean that somebody has said so: an empty list of instances is no agent.
            given = {
                name: value
                for name, value in seen.items()
                if name.startswith(PREFIX) and (name in own or self._defaults.get(name, _NOTHING) != value)
            }
            self._raw[host] = {**own, **given}
        return self._raw[host]

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        """The defaults of the roles that the task sees, which are the same for all hosts."""
        found: dict[str, Any] = {}
        for role in self._task.get_play().roles:
            found |= role.get_default_vars()
        if self._task._role:
            found |= self._task._role.get_default_vars(dep_chain=self._task.get_dep_chain())
        return found

    def _try_secret(self, host: str, name: str, raw: dict[str, Any]) -> None:
        """Fill in a secret, once for all hosts that know the same names: it may come from a slow password store.

        Raises:
            InventoryError: a template cannot be filled in.
        """
        text = str(raw[name])
        key = text, frozenset(name for name in re.findall(r"\w+", text) if name in raw)
        if key not in self._secrets:
            self._secrets[key] = None
            try:
                self._filled(host, name, raw[name], raw)
            except InventoryError as error:
                self._secrets[key] = error
        if known := self._secrets[key]:
            raise InventoryError(known.message, host=host, variable=name, hint=known.hint)

    def _with_address(self, host: str, found: dict[str, Any]) -> dict[str, Any]:
        address = self._detected(host)
        return {**found, _DETECTED: address} if address else found

    def _host(self, name: str) -> Any:
        return self._inventory.get_host(name)

    def _of_group(self, group: Any) -> Any:
        if group.name not in self._group_levels:
            self._group_levels[group.name] = self._of_entity(group, group.get_vars())
        return self._group_levels[group.name]

    def _of_entity(self, entity: Any, own: Mapping[str, Any]) -> Any:
        """Find the variable in the inventory, then in group_vars or host_vars beside it and beside the playbook."""
        found = own.get(GROUPS_VARIABLE)
        # At the stage `task`: at the other one, `inventory`, Ansible by default asks no vars plugin.
        for more in (
            get_vars_from_inventory_sources(self._loader, self._inventory._sources, [entity], "task"),
            get_vars_from_path(self._loader, self._loader.get_basedir(), [entity], "task"),
        ):
            found = more.get(GROUPS_VARIABLE, found)
        return found

    def _filled(self, host: str, name: str, value: Any, variables: dict[str, Any]) -> Any:
        try:
            return self._templates.filled(value, variables)
        except FAULTS as error:
            hint = "Correct the template, or what it refers to"
            raise InventoryError(f"It cannot be filled in: {error}", host=host, variable=name, hint=hint) from error

    def _detected(self, host: str) -> str:
        """Return the address that the deploy has found on the host."""
        agents = self._results.of(host).get("agents") or []
        return str(agents[0].get("address") or "") if len(agents) == 1 else ""
