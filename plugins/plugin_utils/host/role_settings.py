# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the role kraken_agent as options of the modules that put agents on hosts."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ansible.plugins.loader import filter_loader
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import (
    of_role,
    refusals,
    variables_of,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import UPSTREAM
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import SETTINGS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import CA_NAME
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import read_as

from kraken_fleet.address import ServerAddress
from kraken_fleet.collection import role_variables
from kraken_fleet.errors import UsageError

__all__ = [
    "CA_NAME",
    "ca_text",
    "completed",
    "defaults",
    "refusals_for_upstream",
    "refuse",
    "refuse_for_agent",
    "server_for_agents",
    "values",
]  # fmt: skip

_ROLE = "kraken_agent"
_NONE: Mapping[str, str] = MappingProxyType({})
# Read here and kept: this file is imported before Ansible forks a process for each host. The role's default of
# kraken_become has a filter; with the first one Ansible loads all of its own.
role_variables()
filter_loader.get("ansible.builtin.default")


def values(task_vars: Mapping[str, Any], templar: Any, more: Iterable[str] = ()) -> dict[str, Any]:
    """Read the settings of a host's agents from the role's variables, with templates filled in.

    Args:
        task_vars: the variables of the task, the defaults of the role among them.
        templar: the task's own.
        more: names of further variables to read.

    Raises:
        UsageError: one is of another type.
    """
    names = [*(setting.variable for setting in SETTINGS), *more]
    found = templar.template({name: task_vars[name] for name in names if name in task_vars})
    # Plain values: Ansible's own know where they come from, which no other reader wants.
    plain: dict[str, Any] = json.loads(json.dumps(found))
    known = role_variables()[_ROLE]
    return {name: read_as(known.get(name, {}).get("type", ""), value, name) for name, value in plain.items()}


def completed(
    method: str,
    arguments: Mapping[str, Any],
    task_vars: Mapping[str, Any],
    templar: Any,
    task_options: Mapping[str, str] = _NONE,
) -> dict[str, Any]:
    """Add the role's variables to the arguments of a task, when it asks for that with `role_settings`.

    Args:
        task_options: further options by their names, and the variables of the role that they come from.

    Raises:
        UsageError: some are set that this way of installing cannot honour, or are of another type. An agent is taken
            off although some cannot be honoured.
    """
    if "environment" in arguments:
        arguments = {**arguments, "environment": read_as("dict", arguments["environment"], "environment")}
    if not read_as("bool", arguments.get("role_settings"), "role_settings"):
        if arguments.get("state") != "absent":
            refuse(refusals(method, variables_of(arguments), defaults()))
        return {**arguments, **_address(arguments)}
    found = values(task_vars, templar, task_options.values())
    options = {option: found[variable] for option, variable in task_options.items() if variable in found}
    together = {**of_role(method, found), **options, **arguments}
    if together.get("state") != "absent":
        refuse(refusals(method, found, defaults()))
    return {**together, **_address(together)}


def server_for_agents(server: Any) -> str:
    """Write a server's address as agents need it; empty when there is none."""
    return ServerAddress.parse(str(server)).agents if server else ""


def _address(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {"server_url": server_for_agents(arguments["server_url"])} if "server_url" in arguments else {}


def refuse_for_agent(method: str, arguments: Mapping[str, Any], agent: str) -> None:
    """Refuse options that the agent which is about to be installed cannot honour.

    Raises:
        UsageError: there are some.
    """
    refuse(refusals(method, variables_of(arguments), defaults(), agent))


def refusals_for_upstream(method: str, arguments: Mapping[str, Any]) -> list[str]:
    """Say what Kraken's own agent could not honour, for a host that finds out there which agent it gets."""
    return refusals(method, variables_of(arguments), defaults(), UPSTREAM)


def refuse(sentences: list[str]) -> None:
    """Raise a UsageError when there is something to say."""
    if sentences:
        raise UsageError(". ".join(sentences))


def defaults() -> dict[str, Any]:
    """Name what the role's variables are when nobody sets them."""
    return {name: option.get("default") for name, option in role_variables()[_ROLE].items()}


def ca_text(path: str) -> str:
    """Read the file that kraken_agent_ca_bundle names; empty when none is named.

    Raises:
        UsageError: it cannot be read, or has no certificates.
    """
    if not path:
        return ""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "kraken_agent_ca_bundle is a file on the controller with certificates in PEM form"
        raise UsageError(f"The certificate authorities cannot be read: {why}", where=path, hint=hint) from error
    return text
