"""Which routes of a real server the embedded one has."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import requests
import yaml

from kraken_fleet.server.routes.not_served import NOT_SERVED
from tests.contract.embedded import Embedded
from tests.contract.kraken_server import TIMEOUT, KrakenServer
from tests.real_server.plan import KRAKEN_VERSION, cache_directory

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "server.md"
METHODS = ("get", "post", "put", "patch", "delete")
ROUTES = (HERE / f"routes_of_kraken_{KRAKEN_VERSION}.txt").read_text().splitlines()


@pytest.mark.real_server
def test_the_list_of_routes_is_that_of_the_real_server(server: KrakenServer) -> None:
    if server.kind != "real":
        return
    environment = cache_directory() / f"krakenci-server-{KRAKEN_VERSION}"
    (description,) = environment.glob("lib/python3*/site-packages/kraken/server/swagger.yml")
    paths = yaml.safe_load(description.read_text())["paths"]
    found = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods if method in METHODS]
    assert sorted(found) == ROUTES


@pytest.fixture(scope="module")
def token(embedded: Embedded) -> str:
    account = {"user": "admin", "password": embedded.password}
    return str(requests.post(f"{embedded.url}/api/sessions", json=account, timeout=TIMEOUT).json()["token"])


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_is_served_or_says_why_not(embedded: Embedded, token: str, route: str) -> None:
    method, path = route.split(" ")
    url = f"{embedded.url}/bk/api" + re.sub(r"\{[^}]+\}", "999999", path)
    answer = requests.request(method, url, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
    if route in NOT_SERVED:
        assert (answer.status_code, answer.json()["detail"]) == (
            501,
            f"{NOT_SERVED[route]}. A real Kraken server has this.",
        )
    else:
        assert answer.status_code not in (405, 501)
        assert "requested URL was not found" not in answer.text


def test_nothing_is_refused_that_a_real_server_does_not_have() -> None:
    assert set(NOT_SERVED) - set(ROUTES) == set()


def test_the_page_on_the_server_has_the_table() -> None:
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    expected = [(route, f"501: {NOT_SERVED[route]}" if route in NOT_SERVED else "served") for route in ROUTES]
    assert rows == expected, f"write the table anew: {sys.executable} {__file__}"


if __name__ == "__main__":
    text = PAGE.read_text().partition("| Route | |\n|---|---|\n")
    lines = (
        f"| `{route}` | {f'501: {NOT_SERVED[route]}' if route in NOT_SERVED else 'served'} |\n" for route in ROUTES
    )
    PAGE.write_text(text[0] + text[1] + "".join(lines))
