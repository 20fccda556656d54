"""The fleet that an inventory asks for, from what Ansible tells of it. Nothing here runs Ansible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.addresses import (
    Resolver,
    connection_name,
    known_address,
    refuse_shared,
    resolve_all,
    resolve_name,
    set_address,
)
from kraken_fleet.inventory.check import problems_of_host, raise_if_any
from kraken_fleet.inventory.groups import declared_groups, refuse_hosts_in_clouds
from kraken_fleet.inventory.levels import AGENTS_GROUP, GroupTree, Level, groups_of_host
from kraken_fleet.inventory.trust import trust_of_host
from kraken_fleet.inventory.updates import unchecked_updates
from kraken_fleet.inventory.variables import GROUPS_VARIABLE, checked, read
from kraken_fleet.model import ALL_GROUP, DesiredAgent, DesiredFleet, DesiredTrust


def fleet_from_inventory(
    listing: Mapping[str, object],
    hosts: Iterable[str] | None = None,
    *,
    complete: bool = True,
    resolve: Resolver = resolve_name,
) -> DesiredFleet:
    """Return the fleet of an `ansible-inventory --list` document.

    Args:
        listing: the document, made with `--export` for kraken_agent_groups to add up over all levels.
        hosts: only these; default the hosts of the group `kraken_agents`, or all when there is no such group.
        complete: False when the document holds only a slice of the inventory.
        resolve: finds the address of a host that is known by name only.

    Raises:
        InventoryError: a variable is unknown or wrong, an address is missing or used twice.
    """
    tree = GroupTree(listing)
    own = hostvars_of(listing)
    chosen = chosen_hosts(tree, hosts)
    return fleet_from_hostvars(
        {host: tree.merged(host, own.get(host, {})) for host in chosen},
        {host: tree.groups_of(host) for host in chosen},
        levels={host: tree.levels(host, own.get(host, {})) for host in chosen},
        complete=complete and hosts is None,
        resolve=resolve,
    )


def fleet_from_hostvars(
    hostvars: Mapping[str, Mapping[str, object]],
    group_names: Mapping[str, Iterable[str]],
    *,
    levels: Mapping[str, Iterable[Level]] | None = None,
    complete: bool = False,
    resolve: Resolver | None = resolve_name,
) -> DesiredFleet:
    """Return the fleet of a play: every host in `hostvars` is an agent, or several.

    Args:
        hostvars: the variables of each host, merged and with templates filled in.
        group_names: every inventory group of each host, ancestors too.
        levels: for each host, what each level of the inventory sets kraken_agent_groups to; without it only the most
            specific one counts, because Ansible replaces lists.
        complete: whether these are all agents of the inventory.
        resolve: as for fleet_from_inventory. None before the hosts have said their addresses: a host whose address is
            not set has its own name instead, for several of them may be reached through one.

    Raises:
        InventoryError: as for fleet_from_inventory.
    """
    raise_if_any(problem for host, found in hostvars.items() for problem in problems_of_host(host, found))
    addresses = _addresses(hostvars, resolve)
    agents: list[DesiredAgent] = []
    for host, variables in hostvars.items():
        groups = groups_of_host(
            host, group_names.get(host, ()), (levels or {}).get(host, ()), variables.get(GROUPS_VARIABLE)
        )
        agents += _agents(host, variables, groups, addresses.get(host))
    refuse_shared(agents)
    declared = declared_groups(hostvars)
    refuse_hosts_in_clouds(agents, declared)
    return DesiredFleet(
        tuple(agents), complete, unchecked_updates=tuple(unchecked_updates(hostvars)), declared_groups=declared
    )


def _agents(
    host: str, variables: Mapping[str, object], groups: Mapping[str, str], address: str | None
) -> Iterable[DesiredAgent]:
    common = {name: read(host, variables, f"kraken_agent_{name}") for name in (*_SETTINGS, "bundle_version")}
    common["trust"] = trust_of_host(host, variables)
    instances = read(host, variables, "kraken_agent_instances")
    if not isinstance(instances, tuple):
        return [_agent(host, str(address), groups, common)]
    return [_instance(host, index, item, groups, common) for index, item in enumerate(instances)]


_SETTINGS = ("enabled", "system", "executors", "groups_mode")


def _instance(
    host: str, index: int, item: Mapping[str, object], groups: Mapping[str, str], common: Mapping[str, object]
) -> DesiredAgent:
    def value(key: str) -> object:
        shown = f"kraken_agent_instances[{index}].{key}"
        return checked(host, f"kraken_agent_{key}", item[key], variable=shown)

    own = {key: value(key) for key in _SETTINGS if item.get(key) is not None}
    reasons = dict(groups)
    extra = value("groups") if item.get("groups") is not None else frozenset()
    for name in sorted(extra if isinstance(extra, frozenset) else ()):
        if name != ALL_GROUP:
            reasons.setdefault(name, f"kraken_agent_instances of host {host}, agent {item['name']}")
    return _agent(host, str(value("address")), reasons, {**common, **own}, str(item["name"]))


def _agent(
    host: str, address: str, groups: Mapping[str, str], settings: Mapping[str, object], instance: str = ""
) -> DesiredAgent:
    enabled, system = settings["enabled"], settings["system"]
    executors, mode = settings["executors"], settings["groups_mode"]
    version, trust = settings["bundle_version"], settings["trust"]
    return DesiredAgent(
        host=host,
        address=address,
        groups=frozenset(groups),
        enabled=enabled if isinstance(enabled, bool) else None,
        system=system if isinstance(system, str) else None,
        executors=executors if isinstance(executors, frozenset) else frozenset(),
        instance=instance,
        reasons=tuple(sorted(groups.items())),
        groups_mode=mode if isinstance(mode, str) else None,
        version=version if isinstance(version, str) else None,
        trust=trust if isinstance(trust, DesiredTrust) else DesiredTrust(),
    )


def _addresses(hostvars: Mapping[str, Mapping[str, object]], resolve: Resolver | None) -> dict[str, str]:
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    for host, variables in hostvars.items():
        if variables.get("kraken_agent_instances") is not None:
            continue  # each of them has its own
        # Before the hosts were asked: two of them may be reached through one address, which would look like a conflict.
        if resolve is None:
            found[host] = set_address(host, variables) or host
        elif address := known_address(host, variables):
            found[host] = address
        else:
            names[host] = connection_name(host, variables)
    return {**found, **resolve_all(names, resolve)} if resolve else found


def chosen_hosts(tree: GroupTree, hosts: Iterable[str] | None = None) -> list[str]:
    """Return the hosts that are agents: those given, else those of the group `kraken_agents`, else all.

    Raises:
        InventoryError: one is not in the inventory.
    """
    everyone = tree.hosts()
    if hosts is not None:
        known = set(everyone)
        wanted = list(dict.fromkeys(hosts))
        for host in wanted:
            if host not in known:
                raise InventoryError("It is not in the inventory", host=host)
        return wanted
    # Its hosts alone: the server itself is often in the same inventory.
    if tree.has_group(AGENTS_GROUP):
        return [host for host in everyone if AGENTS_GROUP in tree.groups_of(host)]
    return list(everyone)


def hostvars_of(listing: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    """Return the host variables of an `ansible-inventory --list` document.

    Raises:
        InventoryError: the document has none.
    """
    meta = listing.get("_meta", {})
    found = meta.get("hostvars", {}) if isinstance(meta, Mapping) else None
    if isinstance(found, Mapping) and all(isinstance(one, Mapping) for one in found.values()):
        return found
    raise InventoryError("It has no _meta.hostvars", where="inventory", hint="Is it `ansible-inventory --list`?")
