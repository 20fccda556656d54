"""The console on each server: who looks and who changes, by the server's own roles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kraken_fleet.api import PasswordCredentials
from kraken_fleet.web import ConsoleSettings, ProxySignOn
from tests.console_server import serving
from tests.contract.kraken_server import TIMEOUT, KrakenServer
from tests.unique_names import unique_name

HEADER = "X-Remote-User"
PASSWORD = "a viewer's password"


@pytest.fixture
def viewer(server: KrakenServer) -> str:
    """Somebody with an account and no role."""
    name = unique_name("viewer")
    assert server.api("POST", "/users", {"name": name, "password": PASSWORD}).status == 201
    return name


@pytest.fixture
def console(server: KrakenServer, tmp_path: Path) -> Iterator[str]:
    settings = ConsoleSettings(
        server.url,
        tmp_path,
        account=PasswordCredentials(server.user, server.password),
        viewers=True,
        sign_on=ProxySignOn(HEADER, ("127.0.0.1",)),
    )
    with serving(settings) as url:
        yield url


def _only_looks(console: str, http: requests.Session, name: str) -> None:
    page = http.get(f"{console}/agents", timeout=TIMEOUT)
    assert (page.status_code, "read-only" in page.text) == (200, True), page.text
    assert 'action="/agents/change"' not in page.text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    group = unique_name("group")
    body = {"csrf": csrf[1] if csrf else "", "name": group}
    refused = http.post(f"{console}/groups/create", data=body, timeout=TIMEOUT)
    assert refused.status_code == 403
    assert group not in http.get(f"{console}/groups", timeout=TIMEOUT).text
    assert f"<span>{name}</span>" in page.text


def test_somebody_without_the_role_signs_in_and_only_looks(server: KrakenServer, console: str, viewer: str) -> None:
    with requests.Session() as http:
        account = {"user": viewer, "password": PASSWORD}
        assert http.post(f"{console}/sign-in", data=account, timeout=TIMEOUT).url == f"{console}/agents"
        _only_looks(console, http, viewer)
    # With the account alone the server shows nothing of this.
    assert server.api("GET", "/agents", token=server.plain).status == 403


def test_somebody_without_the_role_whom_a_proxy_names_only_looks(console: str, viewer: str) -> None:
    with requests.Session() as http:
        http.headers[HEADER] = viewer
        _only_looks(console, http, viewer)


def test_an_administrator_whom_a_proxy_names_changes_something(server: KrakenServer, console: str) -> None:
    group = unique_name("group")
    with requests.Session() as http:
        http.headers[HEADER] = server.user
        page = http.get(f"{console}/groups", timeout=TIMEOUT)
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf, page.text
        made = http.post(f"{console}/groups/create", data={"csrf": csrf[1], "name": group}, timeout=TIMEOUT)
    assert (made.status_code, group in made.text) == (200, True)


def test_a_name_that_the_server_does_not_know_is_refused(console: str) -> None:
    name = unique_name("nobody")
    answer = requests.get(f"{console}/agents", headers={HEADER: name}, timeout=TIMEOUT)
    assert (answer.status_code, f"{name} has no account" in answer.text) == (403, True)
