"""The oldest version that is brought up. It is where databases start, so there is nothing to do."""

from __future__ import annotations

revision = "0002"
down_revision = None


def upgrade() -> None:
    """Change nothing."""
