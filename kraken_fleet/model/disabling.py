"""Who disabled an agent, why, and until when.

Kraken keeps only that an agent is disabled, and nothing else that a client may write about it but its agents groups. So
this is the name of a group that the agent is in meanwhile: every client reads it with the agent itself, on any machine,
and a person reads it in Kraken's own pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

PREFIX = "kraken-fleet-disabled-"
LONGEST_NOTE = 200
_LONGEST_NAME = 60
_NAME = re.compile(
    rf"{PREFIX}(?P<number>\d+) since (?P<since>\S+)(?: until (?P<until>\S+))? by (?P<by>[^:]+)(?:: (?P<note>.+))?"
)


@dataclass(frozen=True, slots=True)
class Disabling:
    """One decision to disable agents.

    Args:
        by: the account, or the person's name on the machine.
        since: when, by the server's clock.
        until: when the agents are to be enabled again; None when somebody has to do that.
        note: why, in the words of who did it.
        number: tells apart what one person did in the same second.
    """

    by: str
    since: datetime
    until: datetime | None = None
    note: str = ""
    number: int = 0

    @property
    def group_name(self) -> str:
        """The name of the group; what a name cannot hold is left out."""
        until = f" until {_stamp(self.until)}" if self.until else ""
        # The note begins behind the first colon.
        by = _one_line(self.by).replace(":", " ").strip()[:_LONGEST_NAME] or "somebody"
        note = _one_line(self.note)[:LONGEST_NOTE].strip()
        return f"{PREFIX}{self.number} since {_stamp(self.since)}{until} by {by}" + (f": {note}" if note else "")

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return what the name of a group says; None when it is no such name."""
        found = _NAME.fullmatch(name)
        if not found:
            return None
        try:
            since = datetime.fromisoformat(found["since"])
            until = datetime.fromisoformat(found["until"]) if found["until"] else None
        except ValueError:
            return None
        if since.tzinfo is None or (until and until.tzinfo is None):
            return None
        return cls(found["by"], since, until, found["note"] or "", int(found["number"]))

    def is_over(self, now: datetime) -> bool:
        """Say whether the agents are to be enabled again by now."""
        return self.until is not None and self.until <= now

    @property
    def said(self) -> str:
        """All of it, for people: "by anna since 2026-11-28 21:50 UTC until 23:50 UTC: a new disk"."""
        until = f" until {_read(self.until, self.since)}" if self.until else ""
        return f"by {self.by} since {_read(self.since)}{until}" + (f": {self.note}" if self.note else "")


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(moment: datetime, after: datetime | None = None) -> str:
    """Return a moment for people; only the time of day when it is on the same day as another one."""
    here = moment.astimezone(UTC)
    same_day = after is not None and after.astimezone(UTC).date() == here.date()
    return here.strftime("%H:%M UTC" if same_day else "%Y-%m-%d %H:%M UTC")
