"""How a server of ours is itself, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """One server at one moment.

    Args:
        uptime: seconds since it was started.
        requests: that it has begun to answer since then.
        connections: that are open.
        most_connections: that may be open.
        refused: what was refused since the start, by the kind of limit.
        database_bytes: size of the database, with what is not folded into it yet.
    """

    uptime: float
    requests: int
    connections: int
    most_connections: int
    refused: Mapping[str, int]
    database_bytes: int
