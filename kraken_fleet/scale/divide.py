"""Cutting an inventory into slices, each with an inventory of its own that holds what its hosts need and no secret.

Registration and proof are not the workers' business. So they get no variable that only speaks of the server's account,
and none that neither Ansible's connections nor the roles read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kraken_fleet.collection import secret_variables
from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import AGENTS_GROUP
from kraken_fleet.scale.runner import Slice

_OURS = ("kraken_", "ansible_")
# Of the controller alone, besides the secret ones.
_NOT_FOR_WORKERS = {"kraken_server_user", "kraken_server_ca_bundle", "kraken_registration_groups"}
_SECRET_NAME = re.compile(
    r"passw|passphrase|_pass$|secret|token|credential|private_key(?!_file)|api_?key|^vault_", re.IGNORECASE
)
# Names that read so and are no secrets: Ansible's own settings.
_NO_SECRETS = {"ansible_password_prompt", "ansible_sudo_pass_prompt", "ansible_ssh_pass_prompt"}
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@{]+@")
_UNSAFE = "__ansible_unsafe"
_VAULT = ("__ansible_vault", "$ANSIBLE_VAULT;")
_HINT = (
    "Workers connect with SSH keys of their own; give them passwords by files or variables that are on the workers. "
    "Or deploy without --slices"
)


def divide(
    hosts: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]],
    size: int,
    options: Sequence[str] = (),
    first: int = 1,
) -> list[Slice]:
    """Cut the hosts into slices of at most `size`, all of nearly the same size.

    Args:
        hosts: by host, what Ansible knows of it, templates not filled in, and its inventory groups.
        options: of ansible-playbook, for all slices.
        first: the number of the first slice.

    Raises:
        InventoryError: a variable that workers need is a secret.
    """
    needed = {host: _needed(host, variables) for host, (variables, _groups) in hosts.items()}
    count = -(-len(needed) // size)
    # Every count-th host: the sizes differ by one at most, and neighbours in the inventory are spread over the slices.
    parts = [list(needed)[number::count] for number in range(count)]
    return [
        Slice(number, _inventory({host: needed[host] for host in part}, hosts), tuple(options))
        for number, part in enumerate(parts, first)
    ]


def _needed(host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a host that a deploy reads, and those that their templates name.

    Raises:
        InventoryError: one of them is a secret.
    """
    withheld = secret_variables() | _NOT_FOR_WORKERS
    left = [name for name in variables if name.startswith(_OURS)]
    found = set()
    while left:
        name = left.pop()
        if name in found or name in withheld:
            continue
        value = variables[name]
        named = _named_in(value) & variables.keys()
        if problem := _problem(name, value, named):
            raise InventoryError(f"It {problem}, and is not sent to workers", host=host, variable=name, hint=_HINT)
        found.add(name)
        left += named
    return {name: value for name, value in variables.items() if name in found}


def _problem(name: str, value: Any, named: set[str]) -> str:
    """Say why a variable looks like a secret; empty when it does not.

    Args:
        named: the variables that its templates name.
    """
    text = json.dumps(value)
    if any(mark in text for mark in _VAULT):
        return "is encrypted with Ansible Vault"
    if _PASSWORD_IN_URL.search(text):
        return "has a URL with a password"
    for key, one in [(name, value), *_entries(value)]:
        # A template that names no variable, such as a lookup, is filled in by the worker.
        from_worker = isinstance(one, str) and _has_template(one) and not named
        if one not in (None, "", [], {}) and _SECRET_NAME.search(key) and key not in _NO_SECRETS and not from_worker:
            return "has the name of a secret" if key == name else f"has {key!r}, the name of a secret"
    return ""


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Return what dictionaries in a value have, by key."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield str(key), one
            yield from _entries(one)
    elif isinstance(value, list):
        for one in value:
            yield from _entries(one)


def _has_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _named_in(value: Any) -> set[str]:
    """Return the words of a value's templates: one that is a variable's name may be that variable."""
    if isinstance(value, Mapping):
        # What Ansible marks so is text of others, which is not filled in.
        parts = () if _UNSAFE in value else (*value, *value.values())
        return set().union(*map(_named_in, parts))
    if isinstance(value, list):
        return set().union(*map(_named_in, value))
    return set(re.findall(r"\w+", value)) if isinstance(value, str) and _has_template(value) else set()


def _inventory(
    needed: Mapping[str, Mapping[str, Any]], hosts: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]]
) -> dict[str, Any]:
    """Return an inventory of some hosts alone; what is the same for all of them is there once."""
    first = next(iter(needed.values()))
    common = {
        name: value
        for name, value in first.items()
        if all(name in own and own[name] == value for own in needed.values())
    }
    children: dict[str, Any] = {AGENTS_GROUP: {"hosts": dict.fromkeys(needed)}}
    for host in needed:
        for group in hosts[host][1]:
            # Ansible makes these two groups itself.
            if group not in ("all", "ungrouped"):
                children.setdefault(group, {"hosts": {}})["hosts"][host] = None
    own = {host: {name: value for name, value in each.items() if name not in common} for host, each in needed.items()}
    return {"all": {"hosts": own, "vars": common, "children": children}}
