"""Filling in templates: `ansible-inventory` shows `{{ ansible_host }}` as it is written, Ansible itself fills it in."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.environment import run_ansible
from kraken_fleet.inventory.levels import GroupTree, Level
from kraken_fleet.inventory.variables import (
    GROUPS_VARIABLE,
    SERVER_VARIABLES,
    for_the_server,
)

_HOLDER = "kraken_fleet_templates"
_ANSWER = re.compile(r"^(\S+) \| (SUCCESS|CHANGED|FAILED!?|UNREACHABLE!?) => (?=\{)", re.MULTILINE)
_TIMEOUT = 600.0
_ADDRESS = "ansible_host"
# Other variables may hold what only a play knows, as facts are, or secrets that a plan has no need of.
_FILLED_IN = SERVER_VARIABLES | {_ADDRESS}
Hostvars = Mapping[str, Mapping[str, object]]


def fill_in(
    command: Sequence[str],
    merged: Hostvars,
    tree: GroupTree,
    own: Hostvars,
) -> tuple[Hostvars, dict[str, tuple[Level, ...]]]:
    """Fill in the templates in the variables and levels of each host, as far as they speak of the server.

    Costs nothing when there are none; else one `ansible` run on the hosts concerned, which connects to nobody.

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
    answers = _ask(command, wanted) if wanted else {}
    filled = {host: _filled(variables, answers.get(host, {})) for host, variables in merged.items()}
    return filled, {host: _filled_levels(found, answers.get(host, {})) for host, found in levels.items()}


def _templates(variables: Mapping[str, object], levels: Sequence[Level]) -> dict[str, object]:
    relevant = {name: for_the_server(name, value) for name, value in variables.items() if name in _FILLED_IN}
    return {name: value for name, value in (*relevant.items(), *levels) if "{{" in str(value) or "{%" in str(value)}


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


def _ask(command: Sequence[str], wanted: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as folder:
        extra, hosts = Path(folder, "templates.json"), Path(folder, "hosts")
        # As an extra variable, so that one run fills in the templates of all hosts, each with its own variables.
        extra.write_text(json.dumps({_HOLDER: wanted}), encoding="utf-8")
        hosts.write_text("\n".join(wanted), encoding="utf-8")
        # Base64, since Ansible would take a message that looks like a template or like JSON for one and read it again.
        message = "msg={{ " + _HOLDER + "[inventory_hostname] | to_json | b64encode }}"
        chosen = ["all", "--limit", f"@{hosts}", "-f", str(min(4, len(wanted)))]
        done = debug([*command, *chosen, "-e", f"@{extra}"], message)
    return dict(_answers(done.stdout, done.stderr, wanted))


def debug(command: Sequence[str], message: str) -> subprocess.CompletedProcess[str]:
    """Let Ansible fill in a message, which connects to nobody."""
    return run_ansible([*command, "-m", "ansible.builtin.debug", "-a", message], _TIMEOUT)


def _answers(
    stdout: str, stderr: str, wanted: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, dict[str, object]]]:
    missing = set(wanted)
    for host, state, said in messages(stdout):
        missing.discard(host)
        yield host, _one_answer(host, state, said, wanted[host])
    for host in sorted(missing):
        raise InventoryError(f"Ansible did not fill in its templates: {stderr.strip()[:500]}", host=host)


def messages(stdout: str) -> Iterator[tuple[str, str, str]]:
    """Return each host of a run of `debug`, with its state and its message."""
    for match in _ANSWER.finditer(stdout):
        # Ansible writes the result over several lines, with the next host right behind it.
        body, _ = json.JSONDecoder().raw_decode(stdout, match.end())
        yield match[1], match[2], str(body.get("msg", ""))


def _one_answer(host: str, state: str, message: str, templates: Mapping[str, object]) -> dict[str, object]:
    if state == "SUCCESS":
        filled: dict[str, object] = json.loads(base64.b64decode(message))
        return filled
    variable = next((name for name in templates if name in SERVER_VARIABLES), GROUPS_VARIABLE)
    shown = ", ".join(str(value) for value in templates.values())
    raise InventoryError(f"The template {shown} cannot be filled in: {message}", host=host, variable=variable)
