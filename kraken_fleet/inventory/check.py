"""What is wrong with the `kraken_*` variables of hosts: the same for the command line and for plays."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kraken_fleet.collection import variables as declared_variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import types
from kraken_fleet.inventory.groups import problems_of_groups
from kraken_fleet.inventory.variables import (
    DECLARED_GROUPS,
    INSTANCES_VARIABLE,
    PLUGIN_FACTS,
    PREFIX,
    SERVER_VARIABLES,
    checked,
)

SHOWN = 20
"""How many problems are written out."""


def problems_of_host(host: str, variables: Mapping[str, object]) -> Iterator[InventoryError]:
    """Find unknown names and values of the wrong type.

    Args:
        variables: those of the host. None as a value means that nobody may look at it; a template that is not filled
            in is passed over, save in the variables that speak of the server.
    """
    known = declared_variables()
    # What is no text is no name of a variable: Ansible leaves it out.
    for name, value in sorted((name, value) for name, value in variables.items() if isinstance(name, str)):
        if not name.startswith(PREFIX) or name in PLUGIN_FACTS:
            continue
        if name not in known:
            yield _unknown(host, name, known)
        elif value is not None:
            yield from _of_value(host, name, value)


def raise_if_any(problems: Iterable[InventoryError]) -> None:
    """Raise the one problem, or all of them as one error.

    Raises:
        InventoryError: there is a problem; its attribute `problems` has them all when there are several.
    """
    found = merged(problems)
    if len(found) > 1:
        text = f"There are {len(found)} problems:\n{listed(found)}"
        raise InventoryError(text, host=found[0].host, variable=found[0].variable, problems=found)
    for problem in found:
        raise problem


def merged(problems: Iterable[InventoryError]) -> list[InventoryError]:
    """Say once what is wrong on many hosts, as the value of a group is."""
    alike: dict[tuple[str | None, str], list[InventoryError]] = {}
    for problem in problems:
        alike.setdefault((problem.variable, problem.message), []).append(problem)
    return [_for_all(group) for group in alike.values()]


def listed(problems: Sequence[object]) -> str:
    """Write one problem on each line, and how many there are more than a person wants to read at once."""
    more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n".join([*map(str, problems[:SHOWN]), *more])


def _of_value(host: str, name: str, value: object) -> Iterator[InventoryError]:
    if name == DECLARED_GROUPS:
        yield from problems_of_groups(host, value)
        return
    if name in SERVER_VARIABLES:
        try:
            checked(host, name, value)
        except InventoryError as error:
            yield error
            return
        if name != INSTANCES_VARIABLE:
            return  # its own rule says more than its type does
    for place, text in types.problems(value, declared_variables()[name]):
        yield _by_its_own_rule(host, name, place, value) or InventoryError(text, host=host, variable=name + place)


def _by_its_own_rule(host: str, name: str, place: str, value: object) -> InventoryError | None:
    """Say of a key of an instance what is said of the variable of a host that means the same."""
    found = re.match(r"\[(\d+)\]\.(\w+)", place) if name == INSTANCES_VARIABLE else None
    rule = f"kraken_agent_{found[2]}" if found else ""
    if not found or rule not in SERVER_VARIABLES or not isinstance(value, list | tuple):
        return None
    try:
        checked(host, rule, value[int(found[1])][found[2]], variable=name + found[0])
    except InventoryError as error:
        return error
    return None


def _unknown(host: str, name: str, known: Iterable[str]) -> InventoryError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"Did you mean {near[0]}?" if near else "The README files of the roles list the variables"
    return InventoryError("There is no such variable", host=host, variable=name, hint=hint)


def _for_all(group: Sequence[InventoryError]) -> InventoryError:
    first, more = group[0], len(group) - 1
    if not more:
        return first
    others = "another host" if more == 1 else f"{more} other hosts"
    text = f"{first.message}. It is the same on {others}"
    return InventoryError(text, host=first.host, variable=first.variable, where=first.where, hint=first.hint)
