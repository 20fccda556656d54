# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a Kraken server's settings what a task says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet.api.settings import as_kept
from kraken_fleet.errors import UsageError

Settings = Mapping[str, Mapping[str, object]]

# Settings that the server keeps as passwords: it takes them and shows them empty (kraken/migrations, 1.7.36).
_SECRET = re.compile(r"password|secret|token|dsn")
_HIDDEN = "(hidden)"


class ActionModule(ControllerAction):
    """Reads all settings, compares those that are asked for, and sends what differs in one request."""

    ARGUMENTS = arguments_of("server_settings")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        wanted = _by_section(as_kept(_by_section(arguments["settings"], "settings")), "settings")
        secrets = _by_section(arguments["secrets"], "secrets")
        _refuse_open_secrets(wanted)
        with client_of(arguments) as client:
            before = client.settings()
            _refuse_unknown(before, wanted, secrets)
            differing = _differing(before, _where_empty(before, wanted) if arguments["only_empty"] else wanted)
            written = secrets if arguments["update_secrets"] else {}
            after = _merged(before, differing)
            if (differing or written) and not self._task.check_mode:
                after = client.update_settings(_merged(differing, written))
        changed = _names(differing) + _names(written)
        result: dict[str, Any] = {"changed": bool(changed), "changes": sorted(changed), "settings": after}
        if changed:
            result["diff"] = _diff(before, differing, written)
        return result


def _by_section(given: Mapping[str, Any], option: str) -> dict[str, dict[str, object]]:
    for section, values in given.items():
        if not isinstance(values, Mapping):
            hint = "Write the section and below it the settings, as in general: {server_url: ...}"
            raise UsageError(f"{option}.{section} is no dictionary", hint=hint)
    return {section: dict(values) for section, values in given.items() if values}


def _refuse_open_secrets(settings: Settings) -> None:
    open_secrets = [name for name in _names(settings) if _SECRET.search(name.partition(".")[2])]
    if open_secrets:
        raise UsageError(f"{', '.join(open_secrets)} is secret", hint="Move it from settings to secrets")


def _refuse_unknown(known: Settings, *asked: Settings) -> None:
    unknown = {name for settings in asked for name in _names(settings)} - set(_names(known))
    if unknown:
        hint = "See what it has with an empty task of kraken_ci.fleet.server_settings"
        raise UsageError(f"This server has no setting {', '.join(sorted(unknown))}", hint=hint)


def _where_empty(now: Settings, wanted: Settings) -> dict[str, dict[str, object]]:
    return {
        section: {name: value for name, value in values.items() if now[section][name] == ""}
        for section, values in wanted.items()
    }


def _differing(now: Settings, wanted: Settings) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for section, values in wanted.items():
        for name, value in values.items():
            new = _like(now[section][name], value, f"{section}.{name}")
            if new != now[section][name]:
                found.setdefault(section, {})[name] = new
    return found


def _like(current: object, value: Any, name: str) -> object:
    """Return the value in the type that the server has it in; a template often makes text of it."""
    try:
        if isinstance(current, bool):
            return boolean(value)
        if isinstance(current, int):
            return int(value)
    except (TypeError, ValueError) as error:
        kind = "a truth value" if isinstance(current, bool) else "a whole number"
        raise UsageError(f"{name} is {kind}, not {value!r}", hint="Correct the value") from error
    return "" if value is None else str(value)


def _merged(one: Settings, other: Settings) -> dict[str, dict[str, object]]:
    return {section: {**one.get(section, {}), **other.get(section, {})} for section in {**one, **other}}


def _names(settings: Settings) -> list[str]:
    return [f"{section}.{name}" for section, values in settings.items() for name in values]


def _diff(before: Settings, differing: Settings, written: Settings) -> dict[str, str]:
    old = {section: {name: before[section][name] for name in values} for section, values in differing.items()}
    hidden = {section: dict.fromkeys(values, _HIDDEN) for section, values in written.items()}
    return {
        "before": yaml.safe_dump(old) if old else "",
        "after": yaml.safe_dump(_merged(differing, hidden)),
        "before_header": "server settings",
        "after_header": "server settings",
    }
