"""The agents groups that an inventory declares by themselves, with how Kraken makes their agents in a cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kraken_fleet.collection import variables as declared_variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import types
from kraken_fleet.inventory.variables import DECLARED_GROUPS
from kraken_fleet.model import ALL_GROUP, MANUAL, Deployment, DesiredAgent, DesiredGroup, is_own_group

_HINT = "Declare them once for all hosts, in group_vars/all"


def problems_of_groups(host: str, value: object) -> Iterator[InventoryError]:
    """Find what is wrong with the value of kraken_registration_groups; a secret in it is never in a message."""
    found = False
    for place, text in types.problems(value, declared_variables()[DECLARED_GROUPS]):
        found = True
        yield InventoryError(text, host=host, variable=DECLARED_GROUPS + place)
    if found:
        return
    if not _is_written_out(value):
        text = "It is not a list of groups, each with a name and perhaps a deployment"
        yield InventoryError(text, host=host, variable=DECLARED_GROUPS)
        return
    yield from _contradictions(host, _entries(value))


def declared_groups(hostvars: Mapping[str, Mapping[str, object]]) -> tuple[DesiredGroup, ...]:
    """Return the groups that the hosts declare, whose values are without problems.

    Raises:
        InventoryError: two hosts say different things of one group.
    """
    found: dict[str, DesiredGroup] = {}
    said_by: dict[str, str] = {}
    known: list[tuple[object, Sequence[DesiredGroup]]] = []
    for host, variables in hostvars.items():
        value = variables.get(DECLARED_GROUPS)
        if value is None:
            continue
        # Most hosts have the same value from one group.
        groups = next((made for seen, made in known if seen == value), None)
        if groups is None:
            groups = [_group(entry) for entry in _entries(value)]
            known.append((value, groups))
        for group in groups:
            if found.setdefault(group.name, group) != group:
                raise InventoryError(
                    f"Host {said_by[group.name]} says something else of the agents group {group.name}",
                    host=host,
                    variable=DECLARED_GROUPS,
                    hint=_HINT,
                )
            said_by.setdefault(group.name, host)
    return tuple(found[name] for name in sorted(found))


def refuse_hosts_in_clouds(agents: Sequence[DesiredAgent], groups: Sequence[DesiredGroup]) -> None:
    """Refuse hosts in groups whose agents Kraken makes: it would disable and delete the agents of these hosts.

    Raises:
        InventoryError: there is such a host.
    """
    methods = {group.name: group.deployment.method for group in groups if group.deployment}
    for agent in agents:
        for name in sorted(agent.groups):
            if methods.get(name, MANUAL) != MANUAL:
                raise InventoryError(
                    f"It is in the agents group {name}, whose agents Kraken makes itself ({methods[name]}). Kraken "
                    "would delete the agent of this host after a job or some idle minutes",
                    host=agent.host,
                    variable=DECLARED_GROUPS,
                    hint=f"Take the host out of {name}, or set the method to {MANUAL}",
                )


def _contradictions(host: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[InventoryError]:
    names = [str(entry["name"]) for entry in entries]
    for index, entry in enumerate(entries):
        place = f"{DECLARED_GROUPS}[{index}]"
        for text in _wrong_name(names[index], names[:index]):
            yield InventoryError(text, host=host, variable=f"{place}.name")
        deployment = entry.get("deployment") or {}
        method = deployment.get("method")
        others = sorted(set(deployment) - {"method", method})
        if others and any(deployment[name] for name in others):
            text = f"The method is {method}, and these are settings of {others[0]}"
            yield InventoryError(text, host=host, variable=f"{place}.deployment.{others[0]}")
        if method not in (None, MANUAL) and not deployment.get(method):
            text = f"The method is {method}, and its settings are missing"
            yield InventoryError(text, host=host, variable=f"{place}.deployment.{method}")


def _wrong_name(name: str, before: Sequence[str]) -> Iterator[str]:
    if name in before:
        yield f"Two groups are called {name!r}"
    if name == ALL_GROUP:
        yield f"The group {ALL_GROUP} belongs to the server, and every agent is in it"
    if is_own_group(name):
        yield f"{name!r} is a name of kraken-fleet's own groups"


def _is_written_out(value: object) -> bool:
    """Tell whether it is a list of dictionaries: Ansible takes texts for both, which nobody means here."""
    if not isinstance(value, list | tuple):
        return False
    deployments = [entry.get("deployment") or {} for entry in value if isinstance(entry, Mapping)]
    if len(deployments) < len(value) or not all(isinstance(one, Mapping) for one in deployments):
        return False
    return all(isinstance(part or {}, Mapping) for one in deployments for key, part in one.items() if key != "method")


def _entries(value: object) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list | tuple) else []
    return [entry for entry in found if isinstance(entry, Mapping)]


def _group(entry: Mapping[str, Any]) -> DesiredGroup:
    deployment = entry.get("deployment")
    if not deployment:
        return DesiredGroup(str(entry["name"]))
    method = str(deployment["method"])
    options = declared_variables()[DECLARED_GROUPS]["options"]["deployment"]["options"]
    known = options[method]["options"] if method in options else {}
    settings = {name: value for name, value in (deployment.get(method) or {}).items() if value is not None}
    read = {name: types.converted(value, known[name]) for name, value in settings.items()}
    return DesiredGroup(str(entry["name"]), Deployment.of(method, read))
