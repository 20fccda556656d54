"""Templates that only name variables: filled in here, without a template engine, since most of an inventory's are such.

Ansible compiles a template anew for each host that has it. In an inventory of ten thousand hosts that takes minutes,
and mostly for `{{ ansible_host }}` or `build-{{ site }}`. What is not as simple as that is left to Ansible, once for
all hosts on which it depends on the same values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache

_MARKS = ("{{", "{%", "{#")
_REFERENCE = re.compile(r"\{\{ *([^\W\d]\w*) *\}\}")
_CONSTANTS = frozenset({"true", "false", "none", "True", "False", "None"})
# With one of these in it, a template may depend on more than the variables that it names, or on chance.
_UNBOUNDED = frozenset(
    {"hostvars", "vars", "lookup", "query", "q", "varnames", "now", "random", "shuffle", "random_mac", "password_hash"}
)
# What Ansible says of each host without its being a variable of the inventory.
_OF_THE_HOST = frozenset(
    {"inventory_hostname", "inventory_hostname_short", "group_names", "inventory_dir", "inventory_file"}
)
# The same for all hosts, and long.
_OF_ALL_HOSTS = frozenset({"groups"})
_DEEPEST = 20
UNKNOWN = object()
"""What `substituted` returns for a template that only Ansible can fill in."""

# Whether Ansible would run a text as a template; a text that came from elsewhere, as from the server, it would not.
Trust = Callable[[str], bool]


def everything(_text: str) -> bool:
    """Take every text for one that may be run as a template."""
    return True


def has_template(text: str) -> bool:
    """Say whether there may be a template in a text."""
    return any(mark in text for mark in _MARKS)


def is_plain(value: object) -> bool:
    """Say whether a value has no template in it, and is not encrypted."""
    if isinstance(value, str):
        return not has_template(value)
    if isinstance(value, Mapping):
        return all(is_plain(key) and is_plain(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float)


def substituted(text: str, variables: Mapping[str, object], trust: Trust = everything, depth: int = 0) -> object:
    """Fill in a template that only names variables, alone or between other text, as Ansible does.

    Args:
        text: with a template in it, or without.
        variables: of the host; these may be templates again.

    Returns:
        UNKNOWN when there is more to the template than that.
    """
    if not has_template(text):
        return str(text)
    # A line end at the end, and the first line of a template's own settings, have rules of their own.
    if depth > _DEEPEST or text.endswith("\n") or text.startswith("#jinja2") or not trust(text):
        return UNKNOWN
    parts = _REFERENCE.split(text)
    literals, names = parts[::2], parts[1::2]
    if not names or any(char in literal for literal in literals for char in "{}"):
        return UNKNOWN
    values = [_value(name, variables, trust, depth) for name in names]
    if not any(literals) and len(values) == 1:
        return values[0]
    if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
        return UNKNOWN
    filled = [str(value) for value in values]
    return "".join(part for pair in zip(literals, [*filled, ""], strict=True) for part in pair)


def _value(name: str, variables: Mapping[str, object], trust: Trust, depth: int) -> object:
    value = variables.get(name, UNKNOWN) if name not in _CONSTANTS else UNKNOWN
    if isinstance(value, str):
        return substituted(value, variables, trust, depth + 1)
    if isinstance(value, bool | int):
        return value
    # An encrypted value looks like a dictionary in the listing of an inventory, and is none.
    if isinstance(value, list) and all(isinstance(one, str | int) and is_plain(one) for one in value):
        return list(value)
    return UNKNOWN


def kind_of(text: str, variables: Mapping[str, object], trust: Trust = everything) -> Hashable | None:
    """Return all that the result of a template depends on: hosts for which it is the same have the same result.

    Returns:
        None when it may depend on more than can be told.
    """
    found: dict[str, Hashable] = {}
    pending = [text]
    while pending:
        for word in _words(pending.pop()):
            if word in _UNBOUNDED or (word in _OF_THE_HOST and word not in variables):
                return None
            if word in found or word in _OF_ALL_HOSTS or word not in variables:
                continue
            value = variables[word]
            if isinstance(value, str):
                found[word] = (str(value), trust(value))
                pending += [value] if has_template(value) else []
            elif is_plain(value):
                found[word] = repr(value)
            else:
                return None
    return text, trust(text), tuple(sorted(found.items()))


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))
