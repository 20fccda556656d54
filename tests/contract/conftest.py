"""The two servers that every contract test runs against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from contract.crew import Crew, client_of
from contract.door import TIMEOUT, Door
from contract.embedded import Embedded
from contract.exchanges import recorded
from contract.witnesses import claims, witness_name
from real_server.fixtures import RealServer

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.real_server)]


@pytest.fixture(autouse=True)
def exchanges(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that is named as a witness has to have been one."""
    with recorded() as found:
        yield
    for template, succeeded in claims(witness_name(request.node.nodeid)):
        assert any(one.is_one_of(template) and one.succeeded is succeeded for one in found), (
            f"witnesses.py names this test for {template} that {'succeeds' if succeeded else 'is refused'}, "
            f"and nothing of the kind happened in it"
        )


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """The embedded server as its own process, with an account that is not an administrator."""
    with Embedded.started(tmp_path_factory.mktemp("embedded")) as server:
        yield server


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Door:
    """One server after the other."""
    if request.param == "real":
        real: RealServer = request.getfixturevalue("real_server")
        return _door("real", real.url, real.user, real.password, "demo", "demo")
    mine: Embedded = request.getfixturevalue("embedded")
    return _door("embedded", mine.url, "admin", mine.password, mine.plain_user, mine.plain_password)


@pytest.fixture(scope="session")
def peer(server: Door) -> str:
    """The address that the server sees us come from."""
    agent_id, _ = server.announce()
    return str(server.api("GET", f"/agents/{agent_id}").body["ip_address"])


@pytest.fixture
def crew(server: Door) -> Iterator[Crew]:
    """Agents of the test's own, put out at its end, and the library's client."""
    with client_of(server) as client:
        mine = Crew(server, client)
        yield mine
        mine.leave()


def _door(kind: str, url: str, user: str, password: str, plain_user: str, plain_password: str) -> Door:
    return Door(kind, url, user, password, _token(url, user, password), _token(url, plain_user, plain_password))


def _token(url: str, user: str, password: str) -> str:
    answer = requests.post(f"{url}/api/sessions", json={"user": user, "password": password}, timeout=TIMEOUT)
    answer.raise_for_status()
    return str(answer.json()["token"])
