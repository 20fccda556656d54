"""The two servers that every contract test runs against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.contract.covering_tests import claims, name_of_test
from tests.contract.embedded import Embedded
from tests.contract.exchanges import recorded
from tests.contract.hand_agents import HandAgents, client_of
from tests.contract.kraken_server import TIMEOUT, KrakenServer
from tests.contract.workflow import Workflow
from tests.real_server.fixtures import RealServer

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.real_server)]


@pytest.fixture(autouse=True)
def exchanges(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that is named in covering_tests.py has to cover what it is named for."""
    with recorded() as found:
        yield
    for template, succeeded in claims(name_of_test(request.node.nodeid)):
        assert any(one.is_one_of(template) and one.succeeded is succeeded for one in found), (
            f"covering_tests.py names this test for {template} that {'succeeds' if succeeded else 'is refused'}, "
            f"and nothing of the kind happened in it"
        )


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The embedded server as its own process, with an account that is not an administrator."""
    with Embedded.started(tmp_path_factory.mktemp("embedded")) as server:
        yield server


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> KrakenServer:
    """One server after the other."""
    if request.param == "real":
        real: RealServer = request.getfixturevalue("real_server")
        return _kraken_server("real", real.url, real.user, real.password, "demo", "demo")
    mine: Embedded = request.getfixturevalue("embedded")
    return _kraken_server("embedded", mine.url, "admin", mine.password, mine.plain_user, mine.plain_password)


@pytest.fixture(scope="session")
def peer(server: KrakenServer) -> str:
    """The address that the server sees us come from."""
    agent_id, _ = server.announce()
    return str(server.api("GET", f"/agents/{agent_id}").body["ip_address"])


@pytest.fixture
def hand_agents(server: KrakenServer) -> Iterator[HandAgents]:
    """Agents of the test's own, unauthorized at its end, and the library's client."""
    with client_of(server) as client:
        mine = HandAgents(server, client)
        yield mine
        mine.leave()


@pytest.fixture
def workflow(hand_agents: HandAgents) -> Workflow:
    """A branch to start runs in, and an agent to do their jobs."""
    return hand_agents.workflow()


def _kraken_server(kind: str, url: str, user: str, password: str, plain_user: str, plain_password: str) -> KrakenServer:
    return KrakenServer(kind, url, user, password, _token(url, user, password), _token(url, plain_user, plain_password))


def _token(url: str, user: str, password: str) -> str:
    answer = requests.post(f"{url}/api/sessions", json={"user": user, "password": password}, timeout=TIMEOUT)
    answer.raise_for_status()
    return str(answer.json()["token"])
