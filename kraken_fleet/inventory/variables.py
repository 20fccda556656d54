"""The `kraken_agent_*` variables of a host: their names, their types, and what is said when they are wrong."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path

import yaml

from kraken_fleet.errors import InventoryError

PREFIX = "kraken_agent_"
GROUPS_VARIABLE = "kraken_agent_groups"
DETECTED_VARIABLE = "kraken_agent_detected_address"
GROUPS_MODES = ("merge", "exact")
_EXECUTORS = ("local", "docker", "lxd")
# What only the host is told of an instance: roles/kraken_agent.
_ON_HOST_KEYS = ("dir", "unit", "environment")
_INSTANCE_KEYS = ("name", "address", "groups", "enabled", "system", "executors", "groups_mode", *_ON_HOST_KEYS)
# Ansible's own words for yes and no; an INI inventory gives them as text.
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class _WrongValueError(ValueError):
    """What is wrong with a value, before it is known whose it is."""


def read(host: str, variables: Mapping[str, object], name: str) -> object:
    """One checked variable of a host, None when it is not set.

    Raises:
        InventoryError: it has the wrong type or an impossible value.
    """
    value = variables.get(name)
    return None if value is None else checked(host, name, value)


def checked(host: str, name: str, value: object, *, variable: str | None = None) -> object:
    """A value after the rules of the variable `name`.

    Args:
        variable: what to call it in the error, default its name ("kraken_agent_instances[0].groups").

    Raises:
        InventoryError: it breaks them.
    """
    shown = variable or name
    if "{{" in _flat(value) or "{%" in _flat(value):
        raise InventoryError(
            f"{value!r} is a template that is not filled in", host=host, variable=shown, hint="Write the value itself"
        )
    if isinstance(value, Mapping) and "__ansible_vault" in value:
        raise InventoryError("is encrypted with Ansible Vault", host=host, variable=shown, hint="It is no secret")
    try:
        return _RULES[name](value)
    except _WrongValueError as error:
        raise InventoryError(str(error), host=host, variable=shown) from error


def check_names(host: str, variables: Mapping[str, object], known: Collection[str]) -> None:
    """Refuses `kraken_agent_*` variables that nothing reads.

    Args:
        known: the names that are read; see known_variables.

    Raises:
        InventoryError: one is unknown; the hint has the nearest known one.
    """
    for name in sorted(variables):
        if not name.startswith(PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        hint = f"Did you mean {near[0]}?" if near else "Known are " + ", ".join(sorted(known))
        raise InventoryError("there is no such variable", host=host, variable=name, hint=hint)


@lru_cache(maxsize=1)
def known_variables() -> frozenset[str]:
    """The variables of this module and those that the roles declare in their argument_specs."""
    return frozenset({*_RULES, *_role_variables()})


def _role_variables() -> frozenset[str]:
    # A checkout has the roles beside the package; a wheel has the collection beside it in site-packages.
    beside = Path(__file__).resolve().parents[2]
    found: set[str] = set()
    for root in (beside, beside / "ansible_collections" / "kraken_ci" / "fleet"):
        for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
            specs = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs", {})
            for entry in specs.values():
                found |= {name for name in entry.get("options", {}) if name.startswith(PREFIX)}
    return frozenset(found)


def _group_names(value: object) -> frozenset[str]:
    names = _texts(value, "groups", 'write a list: ["gpu"]')
    return frozenset(names)


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise _WrongValueError(
            f"{value!r} is not an IP address; an agent introduces itself to the server by one"
        ) from None


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise _WrongValueError(f"{value!r} is not yes or no")


def _text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise _WrongValueError(f"{value!r} is not a text")


def _executors(value: object) -> frozenset[str]:
    names = frozenset(_texts(value, "executors", 'write a list: ["docker"]'))
    for name in sorted(names.difference(_EXECUTORS)):
        raise _WrongValueError(f"{name!r} is not an executor; known are {', '.join(_EXECUTORS)}{_nearest(name)}")
    return names


def _mode(value: object) -> str:
    if value in GROUPS_MODES:
        return str(value)
    raise _WrongValueError(f"{value!r} is not one of {', '.join(GROUPS_MODES)}")


def _instances(value: object) -> tuple[Mapping[str, object], ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise _WrongValueError(f"{value!r} is not a list of agents, each with a name and an address")
    for item in value:
        for key in sorted(set(item).difference(_INSTANCE_KEYS)):
            raise _WrongValueError(f"{key!r} is not one of {', '.join(_INSTANCE_KEYS)}")
        for key in ("name", "address"):
            if not item.get(key):
                raise _WrongValueError(f"{dict(item)!r} has no {key}")
    names = [str(item["name"]) for item in value]
    for name in names:
        if names.count(name) > 1:
            raise _WrongValueError(f"two agents are called {name!r}")
    return tuple(value)


def _texts(value: object, what: str, advice: str) -> list[str]:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise _WrongValueError(f"{value!r} is not a list of {what}; {advice}")
    return [_text(item) for item in value]


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, _EXECUTORS, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


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
    "kraken_agent_instances": _instances,
}
