"""kraken.env: the agent's settings, in the form that systemd's EnvironmentFile= and a POSIX shell both read."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional, Tuple

from .changes import HostError

HEADER = "# Written by kraken-fleet; changes here are overwritten by the next deploy.\n"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")
# The characters that both readers let a backslash take the meaning from, inside double quotes.
_SPECIAL = '"\\`$'
# What a deploy itself says; anything else is kraken_agent_environment's, and whether that is a secret no name tells.
_SHOWN = frozenset(
    (
        "KRAKEN_SERVER_ADDR",
        "KRAKEN_CLICKHOUSE_ADDR",
        "KRAKEN_MINIO_ADDR",
        "KRAKEN_DATA_DIR",
        "HOME",
        "PATH",
        "KRAKEN_TOOLS_DIRS",
        "KRAKEN_SYSTEM_ID",
        "KRAKEN_AGENT_ADDRESS",
        "KRAKEN_AGENT_DRAIN_SECONDS",
        "KRAKEN_AGENT_NONCE_FILE",
        "KRAKEN_AGENT_UPDATE",
    )
)
# Up to the last @ before a blank: a password may have an @ or a slash in it.
_USERINFO = re.compile(r"//\S*@")
HIDDEN = "********"


def render(variables: Mapping[str, str]) -> str:
    """Write the file's text, sorted by name, without variables that have no value.

    Raises:
        HostError: a name that no shell takes, or a value that is more than one line.
    """
    lines = [f"{name}={_quoted(name, value)}\n" for name, value in sorted(variables.items()) if value != ""]
    return HEADER + "".join(lines)


def parse(text: str) -> Dict[str, str]:
    """Read the variables of a file that `render` wrote, and skip all other lines."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and _NAME.match(name):
            found[name] = _unquoted(value)
    return found


def mask(before: str, after: str) -> Tuple[str, str]:
    """Write both texts as a diff may show them: without values that somebody gave, but with every change visible."""
    old = parse(before)
    return _masked(before, None), _masked(after, old if before else None)


def shown(name: str, value: str, old: Optional[str] = None) -> str:
    """Return a variable's value as people may see it.

    Args:
        old: the value before, when there was another.
    """
    if name in _SHOWN:
        return _USERINFO.sub(f"//{HIDDEN}@", value)
    return HIDDEN if old is None or old == value else f"{HIDDEN} (changed)"


def _masked(text: str, old: Optional[Mapping[str, str]]) -> str:
    return "".join(_masked_line(line, old or {}) for line in text.splitlines())


def _masked_line(line: str, old: Mapping[str, str]) -> str:
    name, equals, value = line.partition("=")
    if f"{line}\n" == HEADER or not line.strip():
        return f"{line}\n"
    if not equals or not _NAME.match(name):
        return f"{HIDDEN}\n"  # not of a deploy's making: a comment, or half of a value
    return f"{name}={shown(name, _unquoted(value), old.get(name))}\n"


def _quoted(name: str, value: str) -> str:
    if not _NAME.match(name):
        raise HostError(f"{name!r} cannot be the name of an environment variable; see kraken_agent_environment")
    if "\n" in value or "\r" in value or "\0" in value:
        raise HostError(f"The value of {name} must be one line; see kraken_agent_environment")
    if _BARE.match(value):
        return value
    return '"' + "".join("\\" + char if char in _SPECIAL else char for char in value) + '"'


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r'\\(["\\`$])', r"\1", value[1:-1])
