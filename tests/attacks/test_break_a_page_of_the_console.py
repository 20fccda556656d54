"""Addresses that make no sense: each is answered, as what it is, with the headers that protect a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings
from kraken_fleet.web.security import HEADERS
from tests.console_server import serving

# Digits that Python counts as digits and cannot read, others that it can, long numbers, half a character.
NONSENSE = ["²", "٣", "-1", "1e3", "%00", "%ff", "a" * 300, "9" * 30, "[]", "'\"><x>"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("nonsense")) as found:
        yield found


@pytest.fixture(scope="module")
def person(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, requests.Session]]:
    state: Path = tmp_path_factory.mktemp("console")
    with serving(ConsoleSettings(server.url, state)) as console:
        person = requests.Session()
        form = {"user": server.user, "password": server.password}
        assert person.post(f"{console}/sign-in", data=form, timeout=60).url.endswith("/agents")
        yield console, person


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize(
    "path",
    [
        "/agents?page={}",
        "/agents?size={}",
        "/discovered?page={}",
        "/discovered?ignored={}",
        "/agents/{}",
        "/jobs/{}",
        "/deploys/{}",
        "/downloads/{}",
        "/sign-in?next={}",
        "/{}",
    ],
)
def test_an_address_that_makes_no_sense_is_refused(person: tuple[str, requests.Session], path: str, text: str) -> None:
    console, http = person
    said = http.get(console + path.format(text), timeout=60)
    assert said.status_code in (200, 400, 404, 409, 414), said.text
    assert {name: said.headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("text", NONSENSE)
def test_a_form_that_makes_no_sense_is_refused(person: tuple[str, requests.Session], text: str) -> None:
    console, http = person
    found = re.search(r'name="csrf" value="([^"]+)"', http.get(f"{console}/agents", timeout=60).text)
    assert found
    for path in ("/agents/change", "/discovered/change", "/agents/1/groups"):
        form = {"csrf": found[1], "action": text, "agent": text, "group": text, "back": text}
        said = http.post(console + path, data=form, timeout=60)
        assert said.status_code in (200, 303, 400, 404, 409), said.text
        assert {name: said.headers.get(name) for name in HEADERS} == HEADERS
