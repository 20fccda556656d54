"""Time as the server keeps it (seconds since 1970, UTC) and as Kraken writes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic, time

__all__ = ["duration_text", "iso", "iso_micro", "now"]

# How much faster or slower than the machine's steady clock the server's may run: three seconds a minute.
_SLEW = 0.05


class SteadyClock:
    """The time of day that never jumps.

    Time-outs are differences of times in the database. When somebody sets the clock of the machine, no job ends
    because of it and none goes on for ever: this clock nears the new time slowly, and is right after a restart.

    Args:
        wall: the machine's time of day, seconds since 1970.
        steady: seconds that nobody can set.
    """

    def __init__(self, wall: Callable[[], float] = time, steady: Callable[[], float] = monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._last, self._last_steady = wall(), steady()

    def __call__(self) -> float:
        """Return seconds since 1970."""
        steady = self._steady()
        elapsed = steady - self._last_steady
        most = elapsed * _SLEW
        error = self._wall() - (self._last + elapsed)
        self._last, self._last_steady = self._last + elapsed + max(-most, min(most, error)), steady
        return self._last


now = SteadyClock()


def iso(moment: float | None) -> str | None:
    """Write a time in whole seconds with a Z, as in every record of the real server; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_micro(moment: float) -> str:
    """Write a time with microseconds and a Z, as log lines have it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration_text(seconds: float) -> str:
    """Write `1d 2h 3m 4s`. Full hours and minutes appear only beyond the first, as on the real server (models.py)."""
    days, rest = divmod(max(0, int(seconds)), 86400)
    parts = [f"{days}d"] if days else []
    if rest > 3600:
        parts.append(f"{rest // 3600}h")
    if rest > 60:
        parts.append(f"{rest % 3600 // 60}m")
    parts.append(f"{rest % 60}s")
    return " ".join(parts)
