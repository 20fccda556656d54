"""An embedded server to attack, somebody who may use it, and a way to look into its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from kraken_fleet.server.testing import RunningServer
from tests.unit.server.conftest import api, server

__all__ = ["api", "server"]


@pytest.fixture
def living_sessions(server: RunningServer) -> Callable[[], int]:
    """How many tokens the server would accept now."""

    def count() -> int:
        path = server.settings.data_dir / "server.sqlite"
        with closing(sqlite3.connect(path)) as database:
            row = database.execute("SELECT count(*) FROM sessions WHERE deleted IS NULL").fetchone()
        return int(row[0])

    return count
