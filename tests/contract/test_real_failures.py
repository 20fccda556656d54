"""What tests/real_failures.py says of the real server holds of both servers."""

from __future__ import annotations

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.workflow import Workflow
from tests.real_failures import FAILURES, UNKNOWN_GROUP, Failure


@pytest.fixture(scope="module")
def places(server: KrakenServer) -> dict[str, object]:
    """What is put for the braces of routes."""
    workflow = Workflow.made(server)
    return {
        "agent_id": workflow.agent_id,
        "group_id": UNKNOWN_GROUP,
        "project_id": workflow.project["id"],
        "branch_id": workflow.branch["id"],
        "run_id": workflow.run([{"tool": "shell", "cmd": "true"}]),
        "kind": "ci",
        "name": "{name}",
    }


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.route)
def test_a_request_fails_as_it_does_on_the_real_server(
    server: KrakenServer, places: dict[str, object], failure: Failure
) -> None:
    method, path = failure.route.split(" ")
    said = server.api(method, path.format(**places), **failure.more)
    assert (said.status, said.body) == (500, {})
