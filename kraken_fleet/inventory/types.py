"""Whether a value fits the specification of its variable, as the roles' argument_specs write it.

Ansible's own rules hold: numbers and flags may be written as texts, and a list as a text with commas, which is how INI
inventories and `-e` give them. In two points it is stricter here: a list or a dictionary is no text, and yes is no
number, for a role can do nothing with either.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

# Ansible's own words for yes and no.
TRUE_WORDS = frozenset({"true", "yes", "on", "1", "y", "t"})
FALSE_WORDS = frozenset({"false", "no", "off", "0", "n", "f"})
# How ansible-inventory shows a value that it does not give out: encrypted, or with a template that may not be run.
_MARKS = ("__ansible_vault", "__ansible_unsafe")

Problem = tuple[str, str]
"""Where in the value ("[0].address", empty for the whole), and what is wrong there."""


def problems(value: object, option: Mapping[str, Any], place: str = "") -> Iterator[Problem]:
    """Find what is wrong with a value. A template, or what is encrypted, is not looked into.

    Args:
        option: the specification of the variable.
        place: where in the variable the value is.
    """
    if value is None or is_open(value):
        return
    kind = str(option.get("type", "str"))
    if text := _WRONG[kind](value):
        yield place, f"the value, which may hold a secret, is no {kind}" if _may_hold_secret(option) else text
    elif kind == "list":
        element = {**option, "type": option.get("elements", "raw")}
        for index, item in enumerate(_items(value)):
            yield from problems(item, element, f"{place}[{index}]")
    elif kind == "dict" and isinstance(value, Mapping) and "options" in option:
        yield from _keys(value, option["options"], place)
    elif "choices" in option and not _chosen(value, option["choices"]):
        yield place, not_one_of(value, option["choices"])


def converted(value: object, option: Mapping[str, Any]) -> object:
    """Return a value without problems as the type that its specification says: INI inventories give texts."""
    kind = str(option.get("type", "str"))
    if kind == "bool":
        return str(value).lower() in TRUE_WORDS
    return int(float(str(value))) if kind == "int" else str(value) if kind == "str" else value


def is_open(value: object) -> bool:
    """Tell whether only Ansible could say what the value will be: a template, or an encrypted value."""
    if isinstance(value, Mapping):
        return any(mark in value for mark in _MARKS)
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def is_locked(value: object) -> bool:
    """Tell whether a template or an encrypted value is anywhere in a value."""
    if isinstance(value, Mapping):
        return is_open(value) or any(map(is_locked, value.values()))
    return any(map(is_locked, value)) if isinstance(value, list | tuple) else is_open(value)


def not_one_of(value: object, choices: list[Any] | tuple[Any, ...]) -> str:
    """Say which values there are, and which one was probably meant."""
    known = [str(choice) for choice in choices]
    near = difflib.get_close_matches(str(value), known, n=1)
    advice = f" (did you mean {near[0]}?)" if near else ""
    return f"{value!r} is not one of {', '.join(known)}{advice}"


def is_flag(value: object) -> bool:
    """Tell whether Ansible takes the value for yes or no."""
    return isinstance(value, bool) or str(value).lower() in TRUE_WORDS | FALSE_WORDS


def _keys(value: Mapping[str, object], options: Mapping[str, Mapping[str, Any]], place: str) -> Iterator[Problem]:
    for key in value:
        if key not in options:
            yield place, not_one_of(key, list(options))
    for key, option in options.items():
        if option.get("required") and value.get(key) in (None, ""):
            yield place, f"{_without_secrets(value, options)!r} has no {key}"
        yield from problems(value.get(key), option, f"{place}.{key}")


def _without_secrets(value: Mapping[str, object], options: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    return {key: one for key, one in value.items() if not _may_hold_secret(options.get(key, {}))}


def _may_hold_secret(option: Mapping[str, Any]) -> bool:
    if option.get("type") == "dict" and "options" not in option:
        return True  # names and values of the user's own, such as an agent's variables
    return bool(option.get("no_log")) or any(map(_may_hold_secret, option.get("options", {}).values()))


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple | set | frozenset) else list(str(value).split(","))


def _chosen(value: object, choices: list[Any]) -> bool:
    # YAML reads a bare `no` as false, and Ansible gives it back to an option that has the choice "no".
    words = (TRUE_WORDS if value else FALSE_WORDS) if isinstance(value, bool) else frozenset()
    return str(value) in {str(choice) for choice in choices} or len(words & {str(one) for one in choices}) == 1


def _no_text(value: object) -> str:
    return "" if isinstance(value, str | int | float) else f"{value!r} is not a text"


def _no_flag(value: object) -> str:
    return "" if is_flag(value) else f"{value!r} is not yes or no"


def _no_number(value: object) -> str:
    return "" if _number(value) is not None else f"{value!r} is not a number"


def _no_whole_number(value: object) -> str:
    number = _number(value)
    return "" if number is not None and number.is_integer() else f"{value!r} is not a whole number"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _no_list(value: object) -> str:
    fits = isinstance(value, list | tuple | set | frozenset | str | int | float) and not isinstance(value, bool)
    return "" if fits else f"{value!r} is not a list"


def _no_dictionary(value: object) -> str:
    return "" if isinstance(value, Mapping) or _reads_as_dictionary(value) else f"{value!r} is not a dictionary"


def _reads_as_dictionary(value: object) -> bool:
    """Tell whether it is a text of JSON or of `key=value`, which Ansible makes a dictionary of."""
    if not isinstance(value, str):
        return False
    if not value.lstrip().startswith("{"):
        return bool(value) and all("=" in word for word in value.replace(",", " ").split())
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _anything(_: object) -> str:
    return ""


_WRONG = {
    "str": _no_text,
    "path": _no_text,
    "int": _no_whole_number,
    "float": _no_number,
    "bool": _no_flag,
    "list": _no_list,
    "dict": _no_dictionary,
    "raw": _anything,
}
