"""What agents, hosts and files say of themselves: what may count as somebody's name, and how all of it is shown.

An agent that is not authorized chooses its own address, name and system. These are data, until they have the form of
what they are used as.
"""

from __future__ import annotations

import ipaddress
import re

_LONGEST_NAME = 253
# RFC 1123, 2.1. A label that is all digits, or like 0x7f, at the end would be read as a number by inet_aton(3).
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")
# Ansible takes the first three for the controller without being asked, and the last two for all hosts and for those
# in no group.
_TAKEN = frozenset({"127.0.0.1", "::1", "localhost", "all", "ungrouped"})
_LOCAL = re.compile(r"(?:.*\.)?localhost(?:\.localdomain)?\Z|localhost[46]?(?:\..*)?\Z|ip6-.*\Z|broadcasthost\Z", re.I)
# What moves a terminal's cursor, colours or rings it, ends a line, or turns the direction of writing; and what no
# encoding has.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)


def ip_of(text: str | None) -> str | None:
    """Return the IP address that a text is, IPv4 in IPv6 as the IPv4 that it is; None when it is none."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return None
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
    return str(address)


def is_host_name(text: str) -> bool:
    """Say whether a text is a host name as RFC 1123 has it, and not one that means this machine."""
    labels = text.split(".")
    return (
        len(text) <= _LONGEST_NAME
        and all(map(_LABEL.match, labels))
        and not _NUMBER.match(labels[-1])
        and not _LOCAL.match(text)
    )


def names_a_host(text: str) -> bool:
    """Say whether Ansible may know a host by what an agent calls itself.

    No name that has a meaning to Ansible already.
    """
    return text.lower() not in _TAKEN and (ip_of(text) is not None or is_host_name(text))


def shown(text: object, *, lines: bool = True) -> str:
    """Return a text that others wrote, for a terminal or a log.

    What is not to be seen, or would do something, is spelled out.

    Args:
        lines: whether it may have several lines and tabs; else these are spelled out as well.
    """
    neutral = _CONTROL.sub(_spelled, str(text))
    return neutral if lines else re.sub(r"[\n\t]", _spelled, neutral)


def _spelled(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
