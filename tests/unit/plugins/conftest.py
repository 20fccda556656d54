"""One embedded server for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet.server.testing import running
from tests.unit.plugins.task_runs import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    folder = tmp_path / "play"
    folder.mkdir()
    with running(tmp_path / "server") as server:
        yield Stage(server, folder)
