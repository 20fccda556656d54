"""Times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago something was: "4 s ago", "3 min ago"; "never" without a time.

    Args:
        then, now: with their time zone; `now` is this moment when it is not given.
    """
    if then is None:
        return "never"
    seconds = max(((now or datetime.now(UTC)) - then).total_seconds(), 0)
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"
