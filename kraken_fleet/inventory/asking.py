"""Templates that Ansible itself fills in: `ansible` with the module debug, which connects to nobody."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.environment import run_ansible
from kraken_fleet.inventory.types import is_locked
from kraken_fleet.inventory.variables import GROUPS_VARIABLE, SERVER_VARIABLES

# Extra variables: what is to be filled in by host, and what a host makes of its own part.
_HOLDER = "kraken_fleet_templates"
_FILLED = "kraken_fleet_filled_in"
_ANSWER = re.compile(r"^(\S+) \| (SUCCESS|CHANGED|FAILED!?|UNREACHABLE!?) => (?=\{)", re.MULTILINE)
_TIMEOUT = 600.0
# Ansible starts a process for each host of a task, so that so many are asked one by one, to say which of them is wrong.
_FEW = 20
_NO_ANSWER = "-"

Templates = Mapping[str, Mapping[str, object]]
Answers = dict[str, dict[str, object]]


def ask(command: Sequence[str], wanted: Templates) -> Answers:
    """Fill in templates, each with the variables of its host.

    Args:
        command: `ansible` with the options that name the inventory.
        wanted: the templates of each host by name.

    Raises:
        InventoryError: one cannot be filled in; it names the host.
    """
    answers = _ask_together(command, wanted)
    if answers is None and len(wanted) > _FEW:
        # Something in one of them is wrong: look for it in a half, and in a half of that.
        hosts = iter(wanted.items())
        first = dict(islice(hosts, len(wanted) // 2))
        return {**ask(command, first), **ask(command, dict(hosts))}
    found = answers or {}
    rest = iter([(host, templates) for host, templates in wanted.items() if host not in found])
    while few := dict(islice(rest, _FEW)):
        found.update(_ask_each(command, few))
    return found


def debug(command: Sequence[str], message: str) -> subprocess.CompletedProcess[str]:
    """Let Ansible fill in a message."""
    return run_ansible([*command, "-m", "ansible.builtin.debug", "-a", json.dumps({"msg": message})], _TIMEOUT)


def messages(stdout: str) -> Iterator[tuple[str, str, str]]:
    """Return each host of a run of `debug`, with its state and its message."""
    for match in _ANSWER.finditer(stdout):
        # Ansible writes the result over several lines, with the next host right behind it.
        body, _ = json.JSONDecoder().raw_decode(stdout, match.end())
        yield match[1], match[2], str(body.get("msg", ""))


def _ask_together(command: Sequence[str], wanted: Templates) -> Answers | None:
    """Fill in those of all hosts in one process.

    Returns:
        What could be filled in; None when something is so wrong that nothing was.
    """
    answer = "hostvars[host]." + _FILLED + f" | default('{_NO_ANSWER}')"
    pairs = "{% for host in " + _HOLDER + " %}{{ host | b64encode }}:{{ " + answer + " }} {% endfor %}"
    done = _run(command, wanted, pairs, list(wanted)[:1])
    for _, state, said in messages(done.stdout):
        if state == "SUCCESS":
            found = (pair.split(":") for pair in said.split())
            return {_text(host): json.loads(_text(text)) for host, text in found if text != _NO_ANSWER}
    return None


def _ask_each(command: Sequence[str], wanted: Templates) -> Answers:
    done = _run(command, wanted, "{{ " + _FILLED + " }}", list(wanted))
    found: Answers = {}
    for host, state, said in messages(done.stdout):
        if state != "SUCCESS":
            raise _failed(host, said, wanted[host])
        found[host] = json.loads(_text(said))
    for host in sorted(set(wanted).difference(found)):
        raise InventoryError(f"Ansible did not fill in its templates: {done.stderr.strip()[:500]}", host=host)
    return found


def _run(
    command: Sequence[str], wanted: Templates, message: str, hosts: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Let Ansible fill in a message on some of the hosts."""
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as folder:
        extra, chosen = Path(folder, "templates.json"), Path(folder, "hosts")
        # Base64, since Ansible would take a message that looks like a template or like JSON for one and read it again.
        filled = "{{ " + _HOLDER + "[inventory_hostname] | to_json | b64encode }}"
        extra.write_text(json.dumps({_HOLDER: wanted, _FILLED: filled}), encoding="utf-8")
        chosen.write_text("\n".join(hosts), encoding="utf-8")
        limit = ["all", "--limit", f"@{chosen}", "-f", str(min(4, len(hosts)))]
        return debug([*command, *limit, "-e", f"@{extra}"], message)


def _failed(host: str, message: str, templates: Mapping[str, object]) -> InventoryError:
    asked = [name for name, value in templates.items() if is_locked(value)]
    variable = next((name for name in asked if name in SERVER_VARIABLES), asked[0] if asked else GROUPS_VARIABLE)
    # Other variables may hold secrets beside their templates.
    shown = " ".join(str(templates[name]) for name in asked if name in SERVER_VARIABLES)
    text = f"The template {shown} cannot be filled in" if shown else "It cannot be filled in"
    return InventoryError(f"{text}: {message}", host=host, variable=variable)


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
