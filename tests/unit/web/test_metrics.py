"""/metrics of the console: who may scrape, and what comes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import ServerFaultError
from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings
from kraken_fleet.web.scrapers import Scrapers
from tests.console_server import serving
from tests.server_accounts import PASSWORD, new_account


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


@pytest.fixture
def living_sessions(server: RunningServer) -> Callable[[], int]:
    """How many tokens the server would accept now."""

    def count() -> int:
        with closing(sqlite3.connect(server.settings.data_dir / "server.sqlite")) as database:
            return int(database.execute("SELECT count(*) FROM sessions WHERE deleted IS NULL").fetchone()[0])

    return count


@pytest.mark.parametrize("error", [ServerFaultError("it broke"), RuntimeError("a fault of the console")])
def test_a_scrape_that_fails_leaves_no_session(
    error: Exception,
    server: RunningServer,
    tmp_path: Path,
    living_sessions: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(client: KrakenClient) -> NoReturn:
        client.version()
        raise error

    monkeypatch.setattr(KrakenClient, "groups", fail)
    before = living_sessions()
    with serving(ConsoleSettings(server.url, tmp_path)) as console:
        for _ in range(3):
            requests.get(f"{console}/metrics", auth=(server.user, server.password), timeout=60)
            assert living_sessions() == before


def test_a_viewers_scrape_that_the_console_cannot_answer_leaves_no_session(
    server: RunningServer, tmp_path: Path, living_sessions: Callable[[], int]
) -> None:
    name, wrong = new_account(server), PasswordCredentials(server.user, "wrong")
    before = living_sessions()
    with serving(ConsoleSettings(server.url, tmp_path, account=wrong, viewers=True)) as console:
        assert requests.get(f"{console}/metrics", auth=(name, PASSWORD), timeout=60).status_code == 502
        assert living_sessions() == before


def test_a_kept_client_stays_when_the_server_fails_once(
    server: RunningServer, tmp_path: Path, living_sessions: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = living_sessions()
    with serving(ConsoleSettings(server.url, tmp_path)) as console:
        requests.get(f"{console}/metrics", auth=(server.user, server.password), timeout=60)
        with monkeypatch.context() as broken:
            broken.setattr(KrakenClient, "groups", _broken)
            failed = requests.get(f"{console}/metrics", auth=(server.user, server.password), timeout=60)
        assert "kraken_fleet_server_up 0.0" in failed.text
        assert living_sessions() == before + 1
    assert living_sessions() == before


def _broken(_client: KrakenClient) -> NoReturn:
    raise ServerFaultError("it broke")
