"""Time as the server keeps it (seconds since 1970, UTC) and as Kraken writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from time import time

__all__ = ["duration_text", "iso", "iso_micro", "now"]

now = time


def iso(moment: float | None) -> str | None:
    """Whole seconds with a Z, as in every record of the real server; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_micro(moment: float) -> str:
    """Microseconds and a Z: log lines."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration_text(seconds: float) -> str:
    """`1d 2h 3m 4s`. Full hours and minutes appear only beyond the first, as on the real server (models.py)."""
    days, rest = divmod(max(0, int(seconds)), 86400)
    parts = [f"{days}d"] if days else []
    if rest > 3600:
        parts.append(f"{rest // 3600}h")
    if rest > 60:
        parts.append(f"{rest % 3600 // 60}m")
    parts.append(f"{rest % 60}s")
    return " ".join(parts)
