"""An embedded server for each file of tests, and somebody who has signed in to a console over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.server.testing import RunningServer, running
from tests.console_server import serving
from tests.unit.web.person import Person, settings_for, signed_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("pages")) as server:
        for address in ("10.0.0.21", "10.0.0.22", "10.0.0.23"):
            requests.post(f"{server.url}/backend", json={"address": address, "msg": "get-job"}, timeout=60)
        yield server


@pytest.fixture
def person(server: RunningServer, tmp_path: Path) -> Iterator[Person]:
    with serving(settings_for(server, tmp_path)) as console:
        yield signed_in(console, server)
