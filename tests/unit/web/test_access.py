"""Who gets to see and change what: signing in, cookies, other sites, read-only consoles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from http.cookiejar import Cookie
from pathlib import Path
from typing import cast

import pytest
import requests

from kraken_fleet.server.testing import RunningServer
from tests.console_server import serving
from tests.unit.web.person import Person, settings_for, signed_in


def test_nothing_is_shown_before_signing_in(server: RunningServer, tmp_path: Path) -> None:
    with serving(settings_for(server, tmp_path)) as console:
        for path in ("/agents", "/groups", "/discovered", "/fleet", "/downloads", "/agents/1", "/jobs/1"):
            answer = requests.get(console + path, timeout=60, allow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")
        assert requests.get(f"{console}/live", headers={"Accept": "text/event-stream"}, timeout=60).status_code == 401


def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(person: Person) -> None:
    answer = requests.get(f"{person.console}/sign-in", timeout=60)
    (cookie,) = cast(Iterable[Cookie], person.http.cookies)
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_behind_https_the_cookie_never_travels_in_the_clear(server: RunningServer, tmp_path: Path) -> None:
    settings = dataclasses.replace(settings_for(server, tmp_path), secure_cookie=True)
    with serving(settings) as console:
        credentials = {"user": server.user, "password": server.password}
        answer = requests.post(f"{console}/sign-in", data=credentials, timeout=60, allow_redirects=False)
    assert "secure" in answer.headers["Set-Cookie"].lower().split("; ")


@pytest.mark.parametrize(
    "path", ["/agents/change", "/groups/create", "/discovered/change", "/fleet/apply", "/sign-out"]
)
def test_a_change_without_the_csrf_word_is_refused(person: Person, path: str) -> None:
    data = {"action": "enable", "name": "x"}
    assert person.http.post(person.console + path, data=data, timeout=60).status_code == 403


def test_a_change_from_another_site_is_refused_even_with_the_word(person: Person) -> None:
    answer = person.http.post(
        f"{person.console}/groups/create",
        data={"csrf": person.csrf, "name": "x"},
        headers={"Origin": "http://evil.example"},
        timeout=60,
    )
    assert answer.status_code == 403


def test_after_signing_in_one_only_gets_to_pages_of_the_console(server: RunningServer, tmp_path: Path) -> None:
    with serving(settings_for(server, tmp_path)) as console:
        for wanted in ("//evil.example", "https://evil.example", "/\\evil.example"):
            answer = requests.post(
                f"{console}/sign-in",
                data={"user": server.user, "password": server.password, "next": wanted},
                timeout=60,
                allow_redirects=False,
            )
            assert answer.headers["location"] == "/"


def test_a_read_only_console_shows_everything_and_changes_nothing(server: RunningServer, tmp_path: Path) -> None:
    with serving(settings_for(server, tmp_path, read_only=True)) as console:
        person = signed_in(console, server)
        assert "read-only" in person.get("/agents")
        answer = person.post("/groups/create", name="never")
        assert answer.status_code == 403
        assert "never" not in person.get("/groups")


def test_somebody_who_is_no_administrator_stays_out(server: RunningServer, tmp_path: Path) -> None:
    with serving(settings_for(server, tmp_path)) as console:
        answer = requests.post(f"{console}/sign-in", data={"user": "demo", "password": "demo"}, timeout=60)
        assert answer.status_code in (401, 403)
        assert "Sign out" not in answer.text
