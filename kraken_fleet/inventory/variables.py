"""The variables of a host that speak of the server: their rules, and what is said when a value breaks one.

These are read from the inventory alone, by the command line and by registration. All other variables are for the host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from kraken_fleet.collection import variables as declared_variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.types import TRUE_WORDS, is_flag, not_one_of

# Every variable of the roles, and nothing else in an inventory, begins so.
PREFIX = "kraken_"
INSTANCES_VARIABLE = "kraken_agent_instances"
GROUPS_VARIABLE = "kraken_agent_groups"
DECLARED_GROUPS = "kraken_registration_groups"
DETECTED_VARIABLE = "kraken_agent_detected_address"
# What only the host is told of an instance: roles/kraken_agent.
_ON_HOST_KEYS = ("dir", "unit", "environment")


class _WrongValueError(ValueError):
    """What is wrong with a value, before it is known whose it is."""


def read(host: str, variables: Mapping[str, object], name: str) -> object:
    """Return one checked variable of a host, None when it is not set.

    Raises:
        InventoryError: it has the wrong type or an impossible value.
    """
    value = variables.get(name)
    return None if value is None else checked(host, name, value)


def checked(host: str, name: str, value: object, *, variable: str | None = None) -> object:
    """Return a value after the rules of the variable `name`.

    Args:
        variable: what to call it in the error, default its name ("kraken_agent_instances[0].groups").

    Raises:
        InventoryError: it breaks them.
    """
    shown = variable or name
    text = _flat(for_the_server(name, value))
    if "{{" in text or "{%" in text:
        raise InventoryError(
            f"{value!r} is a template that is not filled in", host=host, variable=shown, hint="Write the value itself"
        )
    if isinstance(value, Mapping) and "__ansible_vault" in value:
        raise InventoryError("It is encrypted with Ansible Vault", host=host, variable=shown, hint="It is no secret")
    try:
        return _RULES[name](value)
    except _WrongValueError as error:
        raise InventoryError(str(error), host=host, variable=shown) from error


def for_the_server(name: str, value: object) -> object:
    """Leave out of instances what only the hosts are told: it may hold what the command line cannot fill in."""
    if name != INSTANCES_VARIABLE or not isinstance(value, list):
        return value
    return [
        {key: one for key, one in item.items() if key not in _ON_HOST_KEYS} if isinstance(item, Mapping) else item
        for item in value
    ]


def _group_names(value: object) -> frozenset[str]:
    names = _texts(value, "groups", 'write a list: ["gpu"]')
    return frozenset(names)


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise _WrongValueError(f"{value!r} is not an IP address, and the server knows an agent by one") from None


def _flag(value: object) -> bool:
    if not is_flag(value):
        raise _WrongValueError(f"{value!r} is not yes or no")
    return str(value).lower() in TRUE_WORDS


def _text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise _WrongValueError(f"{value!r} is not a text")


def _version(value: object) -> str | None:
    """Read the name of a release; a number of YAML, such as 1.4, is one. The role's default says nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _WrongValueError(f"{value!r} is not a text")
    return str(value).strip() or None


def _executors(value: object) -> frozenset[str]:
    names = frozenset(_texts(value, "executors", 'write a list: ["docker"]'))
    known = _specification("kraken_agent_executors")["choices"]
    for name in sorted(names.difference(known)):
        raise _WrongValueError(not_one_of(name, known))
    return names


def _mode(value: object) -> str:
    known = _specification("kraken_agent_groups_mode")["choices"]
    if value in known:
        return str(value)
    raise _WrongValueError(not_one_of(value, known))


def _instances(value: object) -> tuple[Mapping[str, object], ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        # The value is not shown: the environment of an agent may have secrets in it.
        raise _WrongValueError("It is not a list of agents, each with a name and an address")
    known = list(_specification(INSTANCES_VARIABLE)["options"])
    for item in value:
        for key in sorted(set(item).difference(known), key=repr):
            raise _WrongValueError(not_one_of(key, known))
        for key in ("name", "address"):
            if not item.get(key):
                shown = {name: value for name, value in item.items() if name != "environment"}
                raise _WrongValueError(f"{shown!r} has no {key}")
    names = [str(item["name"]) for item in value]
    for name in names:
        if names.count(name) > 1:
            raise _WrongValueError(f"Two agents are called {name!r}")
    return tuple(value)


def _texts(value: object, what: str, advice: str) -> list[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise _WrongValueError(f"{value!r} is not a list of {what}; {advice}")
    return [_text(item) for item in value]


def _specification(name: str) -> Mapping[str, Any]:
    return declared_variables()[name]


def _flat(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, list | tuple | Mapping) else ""


_RULES: dict[str, Callable[[object], object]] = {
    GROUPS_VARIABLE: _group_names,
    "kraken_agent_groups_mode": _mode,
    "kraken_agent_address": _address,
    DETECTED_VARIABLE: _address,
    "kraken_agent_enabled": _flag,
    "kraken_agent_system": _text,
    "kraken_agent_executors": _executors,
    "kraken_agent_bundle_version": _version,
    INSTANCES_VARIABLE: _instances,
}
SERVER_VARIABLES = frozenset(_RULES) | {DECLARED_GROUPS}
# What the inventory plugin kraken_ci.fleet.kraken says of each agent: facts, and not variables that somebody mistyped.
PLUGIN_FACTS = frozenset(
    f"kraken_{name}"
    for name in (
        *("id", "name", "address", "ip_address", "agents_groups", "authorized", "enabled", "state"),
        *("system", "isolation", "isolation_type", "executors", "last_seen"),
    )
)
"""The names of these variables."""
