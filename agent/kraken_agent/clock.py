"""The clock of this host beside the server's, which dates each of its answers (RFC 9110, 6.6.1)."""

from __future__ import annotations

import calendar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

# Not from the library: its names of months follow the host's language, or it takes a megabyte.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def seconds_ahead(date: str, now: float) -> Optional[int]:
    """Return by how many seconds a time is ahead of a date of HTTP; None when that is no such date.

    Args:
        date: like `Sun, 06 Nov 1994 08:49:37 GMT`.
        now: in seconds since 1970.
    """
    words = date.replace(":", " ").split()
    if len(words) != 8 or words[2] not in _MONTHS or words[7] != "GMT":
        return None
    day, year, *clock = (words[index] for index in (1, 3, 4, 5, 6))
    if not all(word.isascii() and word.isdigit() for word in (day, year, *clock)):
        return None
    moment = (int(year), _MONTHS.index(words[2]) + 1, int(day), *map(int, clock))
    # A date has whole seconds: in the middle it is half a second older than it says.
    return round(now - calendar.timegm((*moment, 0, 0, 0)) - 0.5)
