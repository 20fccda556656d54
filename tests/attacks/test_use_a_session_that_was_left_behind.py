"""A token that its owner no longer needs is one that somebody else could use: nothing leaves any behind."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials, TokenCredentials
from kraken_fleet.api.deletions import DeletionPace
from kraken_fleet.cli.main import main
from kraken_fleet.errors import RequestRejectedError
from kraken_fleet.server.testing import RunningServer
from kraken_fleet.web import ConsoleSettings
from tests.console_server import serving
from tests.unit.server.conftest import Api
from tests.waiting import PATIENCE_SECONDS, until

Count = Callable[[], int]


def test_each_command_ends_the_session_that_it_made(
    server: RunningServer, living_sessions: Count, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.write_text(server.password)
    monkeypatch.setenv("KRAKEN_FLEET_SERVER", server.url)
    monkeypatch.setenv("KRAKEN_FLEET_USER", server.user)
    monkeypatch.setenv("KRAKEN_FLEET_PASSWORD_FILE", str(password))
    for command in (["agents", "list"], ["groups", "list"], ["agents", "show", "nobody"]):
        main(command)
    assert living_sessions() == 0


def test_a_client_that_was_refused_something_ends_its_session_too(
    server: RunningServer, living_sessions: Count
) -> None:
    client = KrakenClient(server.url, PasswordCredentials(server.user, server.password))
    with client:
        client.version()
        assert living_sessions() == 1
        with pytest.raises(RequestRejectedError):
            client.agent(999_999)
    assert living_sessions() == 0
    assert client.version() == "1.7.36"  # usable as before: it signs in again
    client.close()


def test_a_token_of_somebody_else_is_left_alone(server: RunningServer, api: Api) -> None:
    with KrakenClient(server.url, TokenCredentials(api.token)) as client:
        client.version()
    assert api.get("/version") == {"version": "1.7.36"}


@pytest.fixture(params=[False, True], ids=["console", "read-only console"])
def console(request: pytest.FixtureRequest, server: RunningServer, tmp_path: Path) -> Iterator[str]:
    with serving(ConsoleSettings(server.url, tmp_path / "state", read_only=request.param)) as url:
        yield url


def _signed_in(console: str, server: RunningServer) -> tuple[requests.Session, str]:
    person = requests.Session()
    page = person.post(
        f"{console}/sign-in", data={"user": server.user, "password": server.password, "next": "/agents"}, timeout=60
    )
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return person, found[1]


def test_signing_out_of_the_console_ends_its_session_on_the_server(
    console: str, server: RunningServer, living_sessions: Count
) -> None:
    person, csrf = _signed_in(console, server)
    assert living_sessions() == 1
    said = person.post(f"{console}/sign-out", data={"csrf": csrf}, timeout=60, allow_redirects=False)
    assert (said.status_code, said.headers["Location"]) == (303, "/sign-in")
    assert person.get(f"{console}/agents", timeout=60, allow_redirects=False).status_code == 303
    assert living_sessions() == 0


def test_a_stream_of_another_tab_does_not_sign_in_again(
    console: str, server: RunningServer, living_sessions: Count
) -> None:
    person, csrf = _signed_in(console, server)
    with person.get(f"{console}/live", stream=True, timeout=60) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(lines)
        assert person.post(f"{console}/sign-out", data={"csrf": csrf}, timeout=60).status_code == 200
        deadline = time.monotonic() + PATIENCE_SECONDS
        for _ in lines:  # until it ends
            assert time.monotonic() < deadline, "the stream goes on"
    assert living_sessions() == 0


def test_work_that_outlives_its_person_goes_on_and_leaves_no_session(
    server: RunningServer, tmp_path: Path, living_sessions: Count, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, wait = threading.Event(), threading.Event(), DeletionPace.wait

    def wait_long(pace: DeletionPace, agent_id: int) -> None:
        begun.set()
        assert go_on.wait(100)
        wait(pace, agent_id)

    monkeypatch.setattr(DeletionPace, "wait", wait_long)
    requests.post(f"{server.url}/backend", json={"address": "10.0.0.61", "msg": "get-job"}, timeout=60)
    (agent,) = api.get("/agents?unauthorized=true")["items"]
    before = living_sessions()
    with serving(ConsoleSettings(server.url, tmp_path / "state")) as console:
        person, csrf = _signed_in(console, server)
        person.post(f"{console}/agents/{agent['id']}/delete", data={"csrf": csrf}, timeout=60)
        assert begun.wait(100)
        person.post(f"{console}/sign-out", data={"csrf": csrf}, timeout=60)
        assert living_sessions() == before + 1, "the work needs it"
        go_on.set()
        until(lambda: living_sessions() == before)
    assert api.get("/agents?unauthorized=true")["items"] == []


def test_another_site_cannot_sign_a_person_out(console: str, server: RunningServer) -> None:
    person, _ = _signed_in(console, server)
    assert person.post(f"{console}/sign-out", data={"csrf": "guessed"}, timeout=60).status_code == 403
    assert person.get(f"{console}/agents", timeout=60, allow_redirects=False).status_code == 200


def test_a_console_that_stops_ends_all_its_sessions(
    server: RunningServer, tmp_path: Path, living_sessions: Count
) -> None:
    with serving(ConsoleSettings(server.url, tmp_path / "state")) as console:
        _signed_in(console, server)
        _signed_in(console, server)
        assert living_sessions() == 2
    assert living_sessions() == 0
