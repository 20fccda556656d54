"""An agents group: what a job names to say where it may run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

# The server puts every agent that it authorizes into this group and breaks when it is deleted: leave it alone.
ALL_GROUP = "all"


@dataclass(frozen=True, slots=True)
class AgentsGroup:
    """One agents group of a Kraken server. `agents_count` counts authorized members."""

    id: int
    name: str
    project_id: int | None = None
    project_name: str | None = None
    agents_count: int = 0
    created: datetime | None = None
    deleted: datetime | None = None
