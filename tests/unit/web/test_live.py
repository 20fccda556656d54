"""The stream that tells a page to fetch itself again."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.server.testing import RunningServer
from kraken_fleet.web import people
from tests.console_server import serving
from tests.server_accounts import PASSWORD, administrator, new_account, set_rights
from tests.unit.web.person import Person, settings_for, signed_in
from tests.waiting import eventually, until


def _first_line(person: Person, since: str) -> str:
    with person.http.get(f"{person.console}/live?since={since}", stream=True, timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        line: str = next(line for line in stream.iter_lines(chunk_size=1, decode_unicode=True) if line)
        return line


def _version(page: str) -> str:
    found = re.search(r'data-live="(\d+)"', page)
    assert found
    return found[1]


def test_a_change_between_a_page_and_its_stream_is_told_at_once(person: Person, server: RunningServer) -> None:
    shown = _version(person.get("/groups"))
    assert _first_line(person, shown) == ": still here"
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        client.create_group("made meanwhile")
    # Somebody else's page has the server asked.
    eventually(lambda: _version(person.get("/agents")), lambda version: version != shown)
    assert _first_line(person, shown) == "event: changed"


@pytest.mark.parametrize("since", ["x", "1e3", ""])
def test_a_version_that_is_no_number_is_refused(person: Person, since: str) -> None:
    answer: requests.Response = person.http.get(f"{person.console}/live?since={since}", timeout=60)
    assert answer.status_code == 400


@contextmanager
def _listening(person: Person) -> Iterator[Callable[[], bool]]:
    """The stream of another tab of the same browser; says whether it has ended."""
    begun, stop = threading.Event(), threading.Event()

    def listen() -> None:
        with person.http.get(f"{person.console}/live", stream=True, timeout=60) as stream:
            for _ in stream.iter_lines(chunk_size=1):
                begun.set()
                if stop.is_set():
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert begun.wait(100)
    try:
        yield lambda: not thread.is_alive()
    finally:
        stop.set()
        thread.join(100)


def test_signing_out_ends_the_stream_of_another_tab(person: Person) -> None:
    with _listening(person) as ended:
        person.post("/sign-out")
        until(ended)


def test_a_session_whose_time_is_over_ends_the_stream(server: RunningServer, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings_for(server, tmp_path), session_hours=2 / 3600)
    with serving(settings) as console, _listening(signed_in(console, server)) as ended:
        until(ended)


def test_the_stream_of_a_person_ends_whom_the_server_no_longer_knows(server: RunningServer, tmp_path: Path) -> None:
    name = new_account(server)
    set_rights(server, name, superadmin=True)
    with serving(settings_for(server, tmp_path)) as console:
        person = signed_in(console, server, name, PASSWORD)
        with _listening(person) as ended:
            set_rights(server, name, enabled=False)
            until(ended)
        answer = person.http.get(f"{console}/live", headers={"Accept": "text/event-stream"}, timeout=60)
        assert answer.status_code == 401, "its browser asks no more"


def test_the_stream_of_a_viewer_ends_whom_the_server_no_longer_knows(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "ROLE_SECONDS", 0.0)
    name = new_account(server)
    settings = dataclasses.replace(settings_for(server, tmp_path), account=administrator(server), viewers=True)
    with serving(settings) as console, _listening(signed_in(console, server, name, PASSWORD)) as ended:
        set_rights(server, name, enabled=False)
        until(ended)
