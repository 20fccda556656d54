"""The roles' argument_specs: which variables there are, and whether a host's values fit them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

_ROLES = Path(__file__).resolve().parents[3] / "roles"
# Only of the options that a value can be checked against; descriptions and the like are for people.
_CHECKED = ("type", "elements", "choices", "required", "options", "no_log")


@lru_cache(maxsize=1)
def options() -> Mapping[str, Mapping[str, Any]]:
    """Every variable of every role, with its specification."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(_ROLES.glob("*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        for entry in specs.values():
            found.update(entry.get("options", {}))
    return found


def secrets() -> list[str]:
    """Names of variables whose values nobody should handle without need."""
    return [name for name, option in options().items() if option.get("no_log")]


def problems(variables: Mapping[str, Any]) -> list[str]:
    """What is wrong with a host's `kraken_*` variables: one sentence each.

    Args:
        variables: they, with templates filled in; None means that a value is not to be looked at.
    """
    known = options()
    unknown = [_unknown(name, list(known)) for name in sorted(variables) if name not in known]
    given = {name: value for name, value in variables.items() if name in known and value is not None}
    spec = {name: _checked(option) for name, option in known.items() if name in given or option.get("required")}
    # A secret that was not looked at is there all the same.
    for name in [name for name in spec if name in variables and name not in given]:
        del spec[name]
    return [*unknown, *map(str, ArgumentSpecValidator(spec).validate(given).error_messages)]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    advice = f"did you mean {near[0]}?" if near else "see the roles' README files"
    return f"there is no variable {name}; {advice}"


def _checked(option: Mapping[str, Any]) -> dict[str, Any]:
    spec = {key: option[key] for key in _CHECKED if key in option}
    if "options" in spec:
        spec["options"] = {name: _checked(inner) for name, inner in spec["options"].items()}
    return spec
