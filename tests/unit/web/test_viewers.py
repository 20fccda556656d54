"""People whose role on the server lets them change no agent: they look, with the console's own account."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.errors import UsageError
from kraken_fleet.server.testing import RunningServer, running
from kraken_fleet.web import ConsoleSettings, create_console, people
from tests.console_server import serving
from tests.server_accounts import PASSWORD, administrator, new_account, set_rights
from tests.unit.web.person import Person, settings_for, signed_in

PAGES = ["/agents", "/agents/1", "/groups", "/discovered", "/fleet", "/downloads"]
CHANGES = [
    "/agents/change",
    "/agents/1/groups",
    "/agents/1/disable",
    "/agents/1/delete",
    "/discovered/change",
    "/groups/create",
    "/groups/1/rename",
    "/groups/1/delete",
    "/jobs/1/cancel",
    "/downloads/settings",
    "/fleet/apply",
]


def for_viewers(server: RunningServer, folder: Path) -> ConsoleSettings:
    """Settings of a console that lets people look who are no administrators."""
    return dataclasses.replace(settings_for(server, folder), account=administrator(server), viewers=True)


@pytest.fixture
def roles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the console ask for a person's role each time."""
    monkeypatch.setattr(people, "ROLE_SECONDS", 0.0)


@pytest.fixture
def viewer(server: RunningServer, tmp_path: Path) -> Iterator[Person]:
    name = new_account(server)
    with serving(for_viewers(server, tmp_path)) as console:
        yield signed_in(console, server, name, PASSWORD)


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_sees_each_page_without_a_form_that_changes_something(viewer: Person, path: str) -> None:
    page = viewer.get(path)
    assert "read-only" in page
    assert re.findall(r'<form method="post"[^>]*action="([^"]*)"', page) == ["/sign-out"]
    assert not re.findall(r'<input type="checkbox"', page)


def test_an_administrator_of_the_same_console_sees_the_forms(server: RunningServer, tmp_path: Path) -> None:
    with serving(for_viewers(server, tmp_path)) as console:
        page = signed_in(console, server).get("/agents")
    assert 'action="/agents/change"' in page
    assert "read-only" not in page


def test_a_change_of_a_viewer_is_refused_without_asking_the_server(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        requests.post(f"{server.url}/backend", json={"address": "10.0.0.21", "msg": "get-job"}, timeout=60)
        name = new_account(server)
        serving_viewers = serving(for_viewers(server, tmp_path))
        console = serving_viewers.__enter__()
        person = signed_in(console, server, name, PASSWORD)
    # The server is gone: whoever asked it would get 502.
    assert person.http.get(f"{console}/groups", timeout=60).status_code == 502
    for path in CHANGES:
        answer = person.post(path, action="authorize", agent=1, group=1, name="x")
        assert answer.status_code == 403, path
        assert f"{name} is no administrator of this server, and may only look" in answer.text
    serving_viewers.__exit__(None, None, None)


def test_jobs_are_shown_by_the_persons_own_role(viewer: Person) -> None:
    answer = viewer.http.get(f"{viewer.console}/jobs/1", timeout=60)
    assert answer.status_code == 403
    assert "project viewer" in answer.text, "the server's own words, to the person's own account"


def test_without_an_account_of_its_own_a_console_has_no_viewers(server: RunningServer, tmp_path: Path) -> None:
    settings = dataclasses.replace(for_viewers(server, tmp_path), account=None)
    with pytest.raises(UsageError, match="need an account for the console itself"):
        create_console(settings)
    name = new_account(server)
    with serving(dataclasses.replace(settings, viewers=False)) as console:
        answer = requests.post(f"{console}/sign-in", data={"user": name, "password": PASSWORD}, timeout=60)
    assert (answer.status_code, "is not an administrator" in answer.text) == (403, True)


@pytest.mark.usefixtures("roles_anew")
def test_an_account_that_is_disabled_looks_no_longer(server: RunningServer, tmp_path: Path) -> None:
    name = new_account(server)
    with serving(for_viewers(server, tmp_path)) as console:
        person = signed_in(console, server, name, PASSWORD)
        set_rights(server, name, enabled=False)
        answer = person.http.get(f"{console}/agents", timeout=60, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/agents")


def test_signing_out_ends_the_viewers_session_and_not_the_consoles(server: RunningServer, tmp_path: Path) -> None:
    first, second = new_account(server), new_account(server)
    with serving(for_viewers(server, tmp_path)) as console:
        person, other = (signed_in(console, server, name, PASSWORD) for name in (first, second))
        assert person.post("/sign-out").status_code == 200
        assert person.http.get(f"{console}/agents", timeout=60).url.startswith(f"{console}/sign-in")
        assert "read-only" in other.get("/groups")
    lines = [json.loads(line) for line in (tmp_path / "state" / "audit.log").read_text().splitlines()]
    assert [(line["action"], line["who"], line["account"]) for line in lines if line["who"] == first] == [
        ("sign in", first, server.user),
        ("sign out", first, server.user),
    ]


def test_a_console_whose_own_account_is_refused_says_so(server: RunningServer, tmp_path: Path) -> None:
    name = new_account(server)
    settings = dataclasses.replace(for_viewers(server, tmp_path), account=PasswordCredentials(server.user, "wrong"))
    with serving(settings) as console:
        answer = requests.post(f"{console}/sign-in", data={"user": name, "password": PASSWORD}, timeout=60)
    assert answer.status_code == 502
    assert "own account is refused" in answer.text


def scrape(console: str, user: str, password: str = PASSWORD) -> requests.Response:
    return requests.get(f"{console}/metrics", auth=(user, password), timeout=60)


@pytest.mark.usefixtures("roles_anew")
def test_a_viewer_scrapes_with_an_account_of_no_rights(server: RunningServer, tmp_path: Path) -> None:
    name = new_account(server)
    with serving(for_viewers(server, tmp_path)) as console:
        for _ in range(2):
            answer = scrape(console, name)
            assert (answer.status_code, "kraken_fleet_server_up 1.0" in answer.text) == (200, True)
        assert scrape(console, name, "wrong").status_code == 401
        assert scrape(console, "nobody of this name").status_code == 401
        set_rights(server, name, enabled=False)
        assert scrape(console, name).status_code in (401, 403), "with the password that was good before"
    lines = [json.loads(line) for line in (tmp_path / "state" / "audit.log").read_text().splitlines()]
    scraped = [line for line in lines if line["who"] == name and line["action"] == "scrape" and line["result"] == "ok"]
    assert len(scraped) == 1, "its beginning"


def test_without_viewers_only_an_administrator_scrapes(server: RunningServer, tmp_path: Path) -> None:
    name = new_account(server)
    with serving(settings_for(server, tmp_path)) as console:
        answer = scrape(console, name)
        assert (answer.status_code, answer.text) == (403, f"{name} is not an administrator of this server\n")


def test_a_viewers_scrape_is_told_that_the_consoles_own_account_is_refused(
    server: RunningServer, tmp_path: Path
) -> None:
    name = new_account(server)
    settings = dataclasses.replace(for_viewers(server, tmp_path), account=PasswordCredentials(server.user, "wrong"))
    with serving(settings) as console:
        answer = scrape(console, name)
        assert (answer.status_code, "own account is refused" in answer.text) == (502, True)
        assert "kraken_fleet_" not in answer.text


def test_the_role_is_read_from_the_server_and_kept_for_a_minute(server: RunningServer) -> None:
    name, moment = new_account(server), [0.0]
    with KrakenClient(server.url, administrator(server)) as client:
        found = people.People(client, clock=lambda: moment[0])
        assert found.standing("nobody of this name") is people.Standing.NOBODY
        assert found.standing(name) is people.Standing.VIEWER
        set_rights(server, name, superadmin=True)
        assert found.standing(name) is people.Standing.VIEWER
        moment[0] = people.ROLE_SECONDS
        assert found.standing(name) is people.Standing.ADMINISTRATOR
