"""A line of the report about a host. Runs on the managed host: standard library only, Python >= 3.8."""

from __future__ import annotations

from typing import Any, Dict, Optional

# What was looked at, whether it is well, what was seen, and what to do about it.
Finding = Dict[str, Any]


def finding(check: str, ok: Optional[bool], detail: str, remedy: str = "") -> Finding:
    """Make one line of the report. `ok` is None when this host cannot tell, or when it matters to nobody."""
    return {"check": check, "ok": ok, "detail": detail, "remedy": "" if ok else remedy}
