"""Agents groups that kraken-fleet makes for a while: their names say who made them, and what is to be undone.

Kraken keeps nothing else that a client may write about an agent, and what is to be undone must not be lost with the
process that would undo it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

from kraken_fleet.model.disabling import Disabling

Kind = Literal["proof", "upgrade"]

_PREFIX = "kraken-fleet-"
_NAME = re.compile(
    rf"{_PREFIX}(?P<kind>proof|upgrade)-(?P<host>[0-9a-f]+)-(?P<pid>\d+)-(?P<started>\d+)-(?P<since>\d+)"
    r"(?:-(?P<place>\d+))?(?:-(?P<state>[ed])(?P<groups>[\d.]*))?"
)
# Permanent groups of an earlier version.
_EARLIER = re.compile(rf"{_PREFIX}verify-\d+")


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that makes groups: of a playbook or a command.

    Args:
        host: stands for its machine, and the machine's start.
        pid: the process.
        started: when the process began, in the machine's own ticks: a process id is used again.
    """

    host: str
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class OwnGroup:
    """What the name of such a group says.

    Args:
        kind: `proof`: its one member runs a job; `upgrade`: its members were enabled before an upgrade disabled them.
        owner: who made it.
        since: when, in seconds since 1970 by the server's clock.
        place: tells groups of one owner apart.
        groups: ids of the groups that its member was taken out of for this one; None when it stayed in them.
        disabled: whether its member was disabled before.
    """

    kind: Kind
    owner: Owner
    since: int
    place: int | None = None
    groups: tuple[int, ...] | None = None
    disabled: bool = False

    @property
    def name(self) -> str:
        parts = [self.kind, self.owner.host, self.owner.pid, self.owner.started, self.since]
        if self.place is not None:
            parts.append(self.place)
        if self.groups is not None:
            parts.append(("d" if self.disabled else "e") + ".".join(map(str, self.groups)))
        return _PREFIX + "-".join(map(str, parts))

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return what a name says; None when it is no such name."""
        found = _NAME.fullmatch(name)
        if not found:
            return None
        state = found["state"]
        return cls(
            kind="proof" if found["kind"] == "proof" else "upgrade",
            owner=Owner(found["host"], int(found["pid"]), int(found["started"])),
            since=int(found["since"]),
            place=int(found["place"]) if found["place"] else None,
            groups=tuple(int(one) for one in found["groups"].split(".") if one) if state else None,
            disabled=state == "d",
        )


def is_own_group(name: str) -> bool:
    """Say whether kraken-fleet has made the group for itself: people are not shown it and do not choose it."""
    return bool(_NAME.fullmatch(name) or is_earlier_group(name) or Disabling.parse(name))


def is_earlier_group(name: str) -> bool:
    """Say whether an earlier version of kraken-fleet has made the group for its proofs."""
    return bool(_EARLIER.fullmatch(name))
