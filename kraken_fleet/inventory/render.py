"""Filling in templates: `ansible-inventory` shows `{{ ansible_host }}` as it is written, Ansible itself fills it in."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence

from kraken_fleet.inventory.asking import Answers, Templates, ask
from kraken_fleet.inventory.levels import GroupTree, Level
from kraken_fleet.inventory.substitution import UNKNOWN, has_template, kind_of, substituted
from kraken_fleet.inventory.trust import TRUST_VARIABLES
from kraken_fleet.inventory.types import is_locked, is_open
from kraken_fleet.inventory.variables import DECLARED_GROUPS, SERVER_VARIABLES, for_the_server

_ADDRESS = "ansible_host"
# Other variables may hold what only a play knows, as facts are, or secrets that a plan has no need of.
_FILLED_IN = SERVER_VARIABLES | {_ADDRESS} | TRUST_VARIABLES
Hostvars = Mapping[str, Mapping[str, object]]


def fill_in(
    command: Sequence[str],
    merged: Hostvars,
    tree: GroupTree,
    own: Hostvars,
) -> tuple[Hostvars, dict[str, tuple[Level, ...]]]:
    """Fill in the templates in the variables and levels of each host, as far as they speak of the server.

    Costs nothing when they only name variables; else one `ansible` run for all hosts, which connects to nobody.

    Args:
        command: `ansible` with the options that name the inventory.
        merged: the variables of each host.
        tree: its groups and their variables.
        own: the variables of each host itself.

    Raises:
        InventoryError: a template cannot be filled in; it names the host.
    """
    levels = {host: tree.levels(host, own.get(host, {})) for host in tree.hosts()}
    wanted = {host: found for host in tree.hosts() if (found := _templates(merged.get(host, {}), levels[host]))}
    answers = _answers(command, wanted, merged)
    filled = {host: _filled(variables, answers.get(host, {})) for host, variables in merged.items()}
    return filled, {host: _filled_levels(found, answers.get(host, {})) for host, found in levels.items()}


def _templates(variables: Mapping[str, object], levels: Sequence[Level]) -> dict[str, object]:
    relevant = {name: for_the_server(name, value) for name, value in variables.items() if name in _FILLED_IN}
    if is_locked(relevant.get(DECLARED_GROUPS)):
        # Ansible opens what it reads itself. Also, a message about a template then has no value in it.
        relevant[DECLARED_GROUPS] = f"{{{{ {DECLARED_GROUPS} }}}}"
    return {name: value for name, value in (*relevant.items(), *levels) if "{{" in str(value) or "{%" in str(value)}


def _answers(command: Sequence[str], wanted: Templates, merged: Hostvars) -> Answers:
    """Fill in the templates of each host. Ansible is asked once about hosts that are alike."""
    found: Answers = {}
    first: dict[Hashable, str] = {}
    like: dict[str, str] = {}
    questions: dict[str, dict[str, object]] = {}
    for host, templates in wanted.items():
        variables = {**_of_the_host(host), **merged.get(host, {})}
        values = {name: _substituted(value, variables) for name, value in templates.items()}
        found[host] = {name: value for name, value in values.items() if value is not UNKNOWN}
        # How agents are authorized is left unread, since not every command needs it.
        unknown = [name for name, value in values.items() if value is UNKNOWN and name not in TRUST_VARIABLES]
        if rest := {name: templates[name] for name in unknown}:
            like[host] = first.setdefault(_kind(rest, variables) or host, host)
            questions.setdefault(like[host], rest)
    answers = ask(command, questions) if questions else {}
    return {host: {**known, **answers.get(like.get(host, ""), {})} for host, known in found.items()}


def _of_the_host(host: str) -> dict[str, object]:
    return {"inventory_hostname": host, "inventory_hostname_short": host.partition(".")[0]}


def _substituted(value: object, variables: Mapping[str, object]) -> object:
    """Fill in all texts of a value; UNKNOWN when one of them needs Ansible."""
    if isinstance(value, str):
        return substituted(value, variables)
    if isinstance(value, list):
        items = [_substituted(one, variables) for one in value]
        return UNKNOWN if UNKNOWN in items else items
    if isinstance(value, Mapping):
        entries = {key: _substituted(one, variables) for key, one in value.items()}
        return UNKNOWN if is_open(value) or UNKNOWN in entries.values() else entries
    return value


def _kind(templates: Mapping[str, object], variables: Mapping[str, object]) -> Hashable | None:
    """Return all that the results depend on; None when that cannot be told."""
    kinds = [kind_of(text, variables) for text in _texts(templates) if has_template(text)]
    return None if None in kinds else (json.dumps(templates, sort_keys=True), tuple(kinds))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _filled(variables: Mapping[str, object], answer: Mapping[str, object]) -> Mapping[str, object]:
    return {name: _with_what_hosts_need(value, answer.get(name, value)) for name, value in variables.items()}


def _with_what_hosts_need(before: object, filled: object) -> object:
    """Give instances back what was left out of them."""
    if before is filled or not isinstance(before, list) or not isinstance(filled, list):
        return filled
    return [
        {**old, **new} if isinstance(old, Mapping) and isinstance(new, Mapping) else new
        for old, new in zip(before, filled, strict=True)
    ]


def _filled_levels(levels: Sequence[Level], answer: Mapping[str, object]) -> tuple[Level, ...]:
    return tuple((source, answer.get(source, value)) for source, value in levels)
