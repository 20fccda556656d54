# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action takes: the options that its module documents, so that an option stands in one place.

Ansible imports an action's file before it forks a process for each host, so the documentation is read once for a task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.validation import check_type_bool, check_type_dict, check_type_list
from ansible.plugins.action import ActionBase

from kraken_fleet.collection import read_yaml
from kraken_fleet.errors import UsageError

_PLUGINS = "ansible_collections.kraken_ci.fleet.plugins"
_OWN = "kraken_ci.fleet."
# Of a documented option, what a value can be checked against; the rest is for people.
_CHECKED = ("type", "elements", "choices", "default", "required")
# Documentation has no word for it.
_SECRET = frozenset({"server_password", "server_token", "secrets"})
# Ansible's own reading, for what is looked at before a whole task is checked: it takes `NAME=value` for a dictionary.
_READ = {
    "bool": (check_type_bool, "yes or no"),
    "dict": (check_type_dict, "a dictionary"),
    "list": (check_type_list, "a list"),
}


@cache
def arguments_of(module: str) -> dict[str, dict[str, Any]]:
    """Read the argument specification of a module of this collection out of its DOCUMENTATION.

    Args:
        module: its short name, such as `agent_host`.
    """
    return {name: _argument(name, option) for name, option in _options(module)}


def arguments_of_fragment(name: str) -> dict[str, dict[str, Any]]:
    """Read the same out of a documentation fragment of this collection, such as `agent`."""
    return {option: _argument(option, said) for option, said in _of_fragment(name)}


def checked(action: ActionBase, specification: Mapping[str, Any]) -> dict[str, Any]:
    """Check the arguments of an action's task, and return them with defaults.

    Args:
        specification: what arguments_of gives.

    Raises:
        AnsibleActionFail: one is missing, unknown or of another type.
    """
    try:
        _result, arguments = action.validate_argument_spec(argument_spec=specification)
    except (AnsibleActionFail, TypeError) as error:
        # Ansible would print all arguments beside its message, with the values of an agent's variables. It raises a
        # TypeError over a number in place of a dictionary within another one.
        raise AnsibleActionFail(str(error)) from None
    return dict(arguments)


def read_as(kind: str, value: Any, name: str) -> Any:
    """Read a value as Ansible does when it checks a task; None stays None.

    Args:
        kind: a type of an option. Values of other types than bool, dict and list are returned as they are.
        name: of the option or variable, for the message. The value is not shown: it may have secrets in it.

    Raises:
        UsageError: it is of another type.
    """
    if value is None or kind not in _READ:
        return value
    read, called = _READ[kind]
    try:
        return read(value)
    except TypeError:
        raise UsageError(f"{name} is not {called}") from None


def _options(module: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    documentation = read_yaml(import_module(f"{_PLUGINS}.modules.{module}").DOCUMENTATION)
    yield from documentation.get("options", {}).items()
    for name in documentation.get("extends_documentation_fragment", ()):
        yield from _of_fragment(name.removeprefix(_OWN))


def _of_fragment(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    file, *parts = name.split(".")
    fragment = import_module(f"{_PLUGINS}.doc_fragments.{file}").ModuleDocFragment
    (part,) = parts or ["documentation"]
    yield from read_yaml(getattr(fragment, part.upper())).get("options", {}).items()


def _argument(name: str, option: Mapping[str, Any]) -> dict[str, Any]:
    argument: dict[str, Any] = {key: option[key] for key in _CHECKED if key in option}
    if name in _SECRET:
        argument["no_log"] = True
    if "suboptions" in option:
        argument["options"] = {inner: _argument(inner, one) for inner, one in option["suboptions"].items()}
    return argument
