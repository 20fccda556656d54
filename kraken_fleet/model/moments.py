"""Moments as people type them (`2h`, `1d12h`, `18:30`, `2026-11-29 08:00`), and as they read them ("3 min ago")."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from kraken_fleet.errors import UsageError

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(?:\d+(?:min|[smhdw]))+")
_PART = re.compile(r"(\d+)(min|[smhdw])")
_LONGEST = timedelta(days=366)
_SHOWN_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the moment that somebody means.

    Args:
        text: a span of time from now on, a time of day, or a date with one; times are of this machine's time zone
            unless they say another one.
        now: with its time zone.

    Raises:
        UsageError: it is no time, is over, or is more than a year away.
    """
    found = _span(text, now) or _moment(text, now)
    if found is None:
        raise UsageError(f"{text!r} is no moment in time", hint="Write 30min, 2h, 1d, 18:30 or 2026-11-29T08:00")
    if found <= now:
        raise UsageError(f"{text!r} is over already", hint="Name a moment in the future")
    if found - now > _LONGEST:
        raise UsageError(f"{text!r} is more than a year away", hint="Set no end instead")
    return found


def _span(text: str, now: datetime) -> datetime | None:
    compact = text.replace(" ", "").lower()
    if not _SPAN.fullmatch(compact):
        return None
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(compact))
    # More than a timedelta can hold is cut down to ten years, which is as good as for ever.
    return now + timedelta(seconds=min(seconds, 10 * _LONGEST.total_seconds()))


def _moment(text: str, now: datetime) -> datetime | None:
    here = now.astimezone()
    try:
        if re.fullmatch(r"\d?\d:\d\d", text):
            hour, minute = map(int, text.split(":"))
            found = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return found if found > here else found + timedelta(days=1)
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.astimezone()


def parse_span(text: str) -> timedelta:
    """Return the span of time that somebody means: `90s`, `30min`, `2h`, `1d12h`, `0`.

    Raises:
        UsageError: it is none.
    """
    start = datetime(2000, 1, 1, tzinfo=UTC)
    found = start if text.strip() == "0" else _span(text, start)
    if found is None:
        raise UsageError(f"{text!r} is no span of time", hint="Write 90s, 30min, 2h or 1d12h")
    return found - start


def span(length: timedelta) -> str:
    """Say how long something took: "4 s", "3 min", "2 h"."""
    seconds = max(length.total_seconds(), 0)
    for size, unit in _SHOWN_UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago something was: "4 s ago", "3 min ago"; "never" without a time.

    Args:
        then, now: with their time zone; `now` is this moment when it is not given.
    """
    if then is None:
        return "never"
    return f"{span((now or datetime.now(UTC)) - then)} ago"
