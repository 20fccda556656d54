"""A user of the Kraken server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """One user, with what the server lets it do.

    Args:
        superadmin: it may do everything. Only such a user may see or change agents, groups and settings of a Kraken
            server (kraken/server/management.py, 1.7.36); the other roles are those in single projects.
    """

    id: int
    name: str
    enabled: bool
    superadmin: bool
