"""One thing that a person should know besides the changes of a plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation.

    Args:
        kind: a word for programs, see docs/plan-schema.md.
        subject: the host, address or group it is about.
        message: what was seen.
        hint: what to do about it; may be empty.
        severity: `info`, `warning` or `error`.
    """

    kind: str
    subject: str
    message: str
    hint: str = ""
    severity: str = "warning"
