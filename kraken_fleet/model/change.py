"""One change of a Kraken server, in words: for the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody changed, or tried to.

    Args:
        action: what was done: "disable agent", "create group".
        targets: to what, by the name that people know: an agent's address, a group's name, "job 5".
        details: more of it, such as an agent's groups; never a secret.
        result: `ok`, or why it failed.
    """

    action: str
    targets: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict, hash=False)
    result: str = "ok"
