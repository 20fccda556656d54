"""An agents group: what a job names to say where it may run."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from kraken_fleet.model.deployment import Deployment

# The server puts every agent that it authorizes into this group and breaks when it is deleted: leave it alone.
ALL_GROUP = "all"


@dataclass(frozen=True, slots=True)
class AgentsGroup:
    """One agents group of a Kraken server.

    `agents_count` counts authorized members; `deployment` is None where the server does not tell it.
    """

    id: int
    name: str
    project_id: int | None = None
    project_name: str | None = None
    agents_count: int = 0
    created: datetime | None = None
    deleted: datetime | None = None
    deployment: Deployment | None = None

    @property
    def by_kraken(self) -> bool:
        """Whether Kraken makes the agents of this group in a cloud, and deletes them."""
        return self.deployment is not None and self.deployment.by_kraken

    def another_name(self, taken: Collection[str], why: str = "deleted") -> str:
        """Make up a name for a group whose own name another group needs; a number follows when that is taken, too.

        Args:
            taken: the names of other groups.
            why: the group is `deleted`, or it is a `duplicate`.
        """
        name = f"{self.name}-{why}-{self.id}"
        numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        return next(candidate for candidate in numbered if candidate not in taken)
