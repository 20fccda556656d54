"""/metrics of the console: who may scrape, and what comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings
from kraken_fleet.web.scrapers import Scrapers
from tests.console_server import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("metrics")) as server:
        yield server


def test_an_account_of_the_server_scrapes_and_nobody_else(server: RunningServer, tmp_path: Path) -> None:
    with serving(ConsoleSettings(server.url, tmp_path)) as console:
        good = requests.get(f"{console}/metrics", auth=(server.user, server.password), timeout=60)
        assert good.status_code == 200
        assert good.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "kraken_fleet_server_up 1.0" in good.text
        assert requests.get(f"{console}/metrics", auth=(server.user, server.password), timeout=60).status_code == 200
        for auth in (None, (server.user, "wrong"), ("nobody", "x")):
            refused = requests.get(f"{console}/metrics", auth=auth, timeout=60)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"].startswith("Basic")
            assert "kraken_fleet_" not in refused.text
        assert requests.get(f"{console}/metrics", auth=("demo", "demo"), timeout=60).status_code in (401, 403)
    log = (tmp_path / "audit.log").read_text()
    assert log.count('"scrape"') == 4
    assert server.password not in log


def test_a_scrape_that_overtakes_the_first_one_is_no_beginning(server: RunningServer, tmp_path: Path) -> None:
    scrapers, settings = Scrapers(), ConsoleSettings(server.url, tmp_path)
    first, known = scrapers.get(settings, server.user, server.password)
    second, known_now = scrapers.get(settings, server.user, server.password)
    assert (known, known_now) == (False, False)
    assert first.groups()
    assert second.groups()
    assert scrapers.keep(server.user, server.password, first)
    assert not scrapers.keep(server.user, server.password, second)
    assert scrapers.get(settings, server.user, server.password) == (first, True)
    scrapers.clear()


def test_a_server_that_is_gone_is_said_to_be_down(tmp_path: Path) -> None:
    with serving(ConsoleSettings("http://127.0.0.1:1", tmp_path)) as console:
        answer = requests.get(f"{console}/metrics", auth=("admin", "x"), timeout=60)
    assert answer.status_code == 200
    assert "kraken_fleet_server_up 0.0" in answer.text
