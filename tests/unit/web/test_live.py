"""The stream that tells a page to fetch itself again."""

from __future__ import annotations

import re

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.server.testing import RunningServer
from tests.unit.web.person import Person
from tests.waiting import eventually


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
