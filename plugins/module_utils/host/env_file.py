"""kraken.env: the agent's settings, in the form that systemd's EnvironmentFile= and a POSIX shell both read."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Tuple

from .changes import HostError

HEADER = "# Written by kraken-fleet; changes here are overwritten by the next deploy.\n"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")
# The characters that both readers let a backslash take the meaning from, inside double quotes.
_SPECIAL = '"\\`$'
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|NONCE|KEY\Z|KEY_", re.IGNORECASE)
_USERINFO = re.compile(r"(//[^/@\s:]*):[^/@\s]*@")
_HIDDEN = "********"


def render(variables: Mapping[str, str]) -> str:
    """The file's text, sorted by name; variables with an empty value are left out.

    Raises:
        HostError: a name that no shell takes, or a value that is more than one line.
    """
    lines = [f"{name}={_quoted(name, value)}\n" for name, value in sorted(variables.items()) if value != ""]
    return HEADER + "".join(lines)


def parse(text: str) -> Dict[str, str]:
    """The variables of a file that `render` made; lines that are none are passed over."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and _NAME.match(name):
            found[name] = _unquoted(value)
    return found


def mask(before: str, after: str) -> Tuple[str, str]:
    """Both texts as a diff may show them: no passwords or tokens, yet a changed one is seen to change."""
    old, new = parse(before), parse(after)
    return _masked(before, {}, ""), _masked(after, old, " (changed)") if new else after


def _masked(text: str, old: Mapping[str, str], marked: str) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        name, equals, value = line.partition("=")
        shown = hidden(name, _unquoted(value.rstrip("\n"))) if equals and not line.startswith("#") else None
        if shown is None or shown == _unquoted(value.rstrip("\n")):
            lines.append(line)
        else:
            mark = marked if name in old and old[name] != _unquoted(value.rstrip("\n")) else ""
            lines.append(f"{name}={shown}{mark}\n")
    return "".join(lines)


def hidden(name: str, value: str) -> str:
    """A variable's value as people may see it."""
    return _HIDDEN if _SECRET_NAME.search(name) else _USERINFO.sub(rf"\1:{_HIDDEN}@", value)


def _quoted(name: str, value: str) -> str:
    if not _NAME.match(name):
        raise HostError(f"{name!r} cannot be the name of an environment variable; see kraken_agent_environment")
    if "\n" in value or "\r" in value or "\0" in value:
        raise HostError(f"the value of {name} must be one line; see kraken_agent_environment")
    if _BARE.match(value):
        return value
    return '"' + "".join("\\" + char if char in _SPECIAL else char for char in value) + '"'


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r'\\(["\\`$])', r"\1", value[1:-1])
