"""Whatever is sent to a route of the REST API: no failure inside, and no 500 that the real server would not answer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings

from kraken_fleet.server import app as server_app
from kraken_fleet.server.testing import RunningServer, running
from tests.real_failures import FAILURES
from tests.unit.server.conftest import Api, job_spec, shell

# These end the session that asks: they come last, each on a server of its own.
ENDS_SESSIONS = {"DELETE /sessions/{token}", "PUT /users/{user_id}/password", "PATCH /users/{user_id}"}
# Where the real server fails, and ours says so without an exception.
REAL_500 = {failure.route for failure in FAILURES}
EXAMPLES = 4


def description() -> dict[str, Any]:
    """The API as OpenAPI. Bodies are read by dependencies, so their shapes are added here."""
    api = FastAPI()
    for module in server_app._API:
        api.include_router(module.router)
    found = api.openapi()
    for module in server_app._API:
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                path = found["paths"][route.path_format]
                for method in route.methods or ():
                    _describe(path[method.lower()], _shape(route.dependant))
    return found


def _shape(dependant: Dependant) -> Any:
    for one in dependant.dependencies:
        inside = inspect.getclosurevars(one.call).nonlocals if inspect.isfunction(one.call) else {}
        if "shape" in inside:
            return inside["shape"]
    return None


def _describe(operation: dict[str, Any], shape: Any) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["schema"].get("type") == "integer":
            parameter["schema"] = {"anyOf": [{"enum": [1, 2]}, {"type": "integer"}]}
    if shape is not None:
        schema = {"anyOf": [_schema(shape), {}]}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}


def _schema(shape: Any) -> dict[str, Any]:
    if isinstance(shape, str):
        return {"type": shape}
    if isinstance(shape, list):
        return {"type": "array", "items": _schema(shape[0]), "maxItems": 3}
    return {"type": "object", "properties": {name: _schema(inner) for name, inner in shape.items()}}


def operations() -> dict[str, Any]:
    """Every route by its method and path."""
    schema: Any = schemathesis.openapi.from_dict(description())
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = operations()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    """A server with something of each kind in it, and a token."""
    with running(tmp_path_factory.mktemp("routes")) as server:
        yield server, fill(server)


def fill(server: RunningServer) -> str:
    api = Api(server)
    requests.post(f"{server.url}/backend", json={"address": "10.0.0.1", "msg": "get-job"}, timeout=60)
    api.group("g")
    api.start([job_spec(shell("x"))])
    answer = requests.post(
        f"{server.url}/api/sessions", json={"user": server.user, "password": server.password}, timeout=60
    )
    return str(answer.json()["token"])


def attack(server: RunningServer, token: str, label: str, caplog: pytest.LogCaptureFixture) -> None:
    operation = OPERATIONS[label]
    headers = {"Authorization": f"Bearer {token}"}

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        caplog.clear()
        answer = case.call(base_url=f"{server.url}/api", headers=headers, timeout=60)
        broken = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert not broken, f"{case.method} {case.formatted_path} {case.body!r}: {broken}"
        if answer.status_code == 500:
            assert label in REAL_500, f"{case.method} {case.formatted_path} {case.query!r} {case.body!r}"
            assert answer.content == b"{}"

    one()


@pytest.mark.parametrize("label", sorted(OPERATIONS.keys() - ENDS_SESSIONS))
def test_no_request_breaks_a_route(
    shared: tuple[RunningServer, str], label: str, caplog: pytest.LogCaptureFixture
) -> None:
    attack(*shared, label, caplog)


@pytest.mark.parametrize("label", sorted(ENDS_SESSIONS))
def test_no_request_breaks_a_route_that_ends_sessions(
    tmp_path: Path, label: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path / "data") as server:
        attack(server, fill(server), label, caplog)
