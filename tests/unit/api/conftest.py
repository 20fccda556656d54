"""A fake server for each test, and a client that is signed in to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kraken_fleet.api import KrakenClient, PasswordCredentials
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import PASSWORD


@pytest.fixture
def fake() -> Iterator[FakeKraken]:
    server = FakeKraken()
    yield server
    server.stop()


@pytest.fixture
def client(fake: FakeKraken) -> Iterator[KrakenClient]:
    """Signed in as the administrator of `fake`; gives up on an answer after two seconds."""
    with KrakenClient(fake.url, PasswordCredentials("admin", PASSWORD), timeout=2.0) as one:
        yield one
