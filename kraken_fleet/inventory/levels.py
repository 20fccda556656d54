"""Which agents groups a host is put into, by all levels of the inventory, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.variables import GROUPS_VARIABLE, checked
from kraken_fleet.model import ALL_GROUP

# The inventory group `kraken_group_gpu` puts its hosts into the agents group `gpu`.
GROUP_PREFIX = "kraken_group_"
# An inventory that has this group has its agents there; all hosts of another one are agents.
AGENTS_GROUP = "kraken_agents"

# One level that sets kraken_agent_groups: what to call it ("inventory group site_a", "host web1"), and its value.
Level = tuple[str, object]


def groups_of_host(
    host: str, inventory_groups: Iterable[str], levels: Iterable[Level], merged: object
) -> dict[str, str]:
    """Return the agents groups of one host, each with the reason that it is in it; levels add up.

    Args:
        inventory_groups: every inventory group the host is in, of all depths.
        levels: what each level says, the most general one first.
        merged: what Ansible's own merging leaves of the variable; counts too, for it may come from a play.

    Raises:
        InventoryError: a level has something else than a list of names.
    """
    found: dict[str, str] = {}
    for name in sorted(inventory_groups):
        if name.startswith(GROUP_PREFIX) and name != GROUP_PREFIX:
            found.setdefault(name.removeprefix(GROUP_PREFIX), f"inventory group {name}")
    for source, value in levels:
        for name in _names(host, value, f"{GROUPS_VARIABLE} of {source}"):
            found.setdefault(name, f"{GROUPS_VARIABLE} of {source}")
    for name in _names(host, merged, GROUPS_VARIABLE):
        found.setdefault(name, f"{GROUPS_VARIABLE} of host {host}")
    found.pop(ALL_GROUP, None)
    return found


class GroupTree:
    """The groups of an `ansible-inventory --list` document.

    Args:
        listing: the document; group variables are there when it was made with `--export`.

    Raises:
        InventoryError: the document is not what ansible-inventory writes.
    """

    def __init__(self, listing: Mapping[str, object]) -> None:
        self._groups = {name: _mapping(group, name) for name, group in listing.items() if name != "_meta"}
        self._parents: dict[str, list[str]] = {}
        self._direct: dict[str, list[str]] = {}
        for name, group in self._groups.items():
            for child in _strings(group, "children", name):
                self._parents.setdefault(child, []).append(name)
            for host in _strings(group, "hosts", name):
                self._direct.setdefault(host, []).append(name)
        self._depths: dict[str, int] = {}

    def hosts(self) -> tuple[str, ...]:
        """Return all hosts, in the order of the document."""
        return tuple(self._direct)

    def groups(self) -> tuple[str, ...]:
        """Return all groups, in the order of the document."""
        return tuple(self._groups)

    def has_group(self, name: str) -> bool:
        return name in self._groups

    def groups_of(self, host: str) -> tuple[str, ...]:
        """Return every group of a host, ancestors too, the most general one first, as Ansible merges them."""
        # `all` is everybody's group, also of hosts that the document lists under other groups only.
        found = {"all"} if "all" in self._groups else set()
        pending = list(self._direct.get(host, ()))
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self._parents.get(name, ())
        # Ansible merges by depth and, within one depth, by name: the last one wins.
        return tuple(sorted(found, key=lambda name: (self._depth(name), name)))

    def variables(self, group: str) -> Mapping[str, object]:
        """Return what the group itself sets; empty unless the document was exported."""
        return _mapping(self._groups[group].get("vars", {}), group)

    def levels(self, host: str, own: Mapping[str, object]) -> tuple[Level, ...]:
        """Return what each level says of kraken_agent_groups.

        Args:
            own: the variables of the host itself.
        """
        sources: Sequence[tuple[str, Mapping[str, object]]] = [
            *((f"inventory group {name}", self.variables(name)) for name in self.groups_of(host)),
            (f"host {host}", own),
        ]
        return tuple((source, found[GROUPS_VARIABLE]) for source, found in sources if GROUPS_VARIABLE in found)

    def merged(self, host: str, own: Mapping[str, object]) -> dict[str, object]:
        """Return the variables of a host by Ansible's precedence, save ansible_group_priority, which exports lack."""
        result: dict[str, object] = {}
        for name in self.groups_of(host):
            result.update(self.variables(name))
        return {**result, **own}

    def _depth(self, name: str) -> int:
        if name not in self._depths:
            self._depths[name] = 0  # ends a circle, which Ansible refuses anyway
            parents = self._parents.get(name, ())
            # A group with several parents has the depth of its longest way from `all`.
            self._depths[name] = 1 + max((self._depth(parent) for parent in parents), default=-1)
        return self._depths[name]


def _names(host: str, value: object, variable: str) -> list[str]:
    if value is None:
        return []
    names = checked(host, GROUPS_VARIABLE, value, variable=variable)
    return sorted(names) if isinstance(names, frozenset) else []


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise InventoryError(f"{value!r} is not an object", where=f"group {name}", hint="Is it `ansible-inventory --list`?")


def _strings(group: Mapping[str, object], key: str, name: str) -> list[str]:
    value = group.get(key, [])
    if isinstance(value, list):
        return [str(item) for item in value]
    raise InventoryError(f"{key} is {value!r}, not a list", where=f"group {name}")
