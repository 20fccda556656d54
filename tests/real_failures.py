"""Requests that Kraken 1.7.36 fails on: it answers each with status 500 and `{}`, and so does the embedded server.

tests/contract/test_real_failures.py sends the example of each to both servers, so that each is a fact; the embedded
server may answer any other request to the route so as well, for the reason that is given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

# A number that no agents group has.
UNKNOWN_GROUP = 999999999
_META = json.dumps({"name": "{name}"})
_ZIP = {"meta": (None, _META, "application/json"), "file": ("tool.zip", b"PK\5\6" + 18 * b"\0", "application/zip")}


@dataclass(frozen=True)
class Failure:
    """A route and a request to it.

    Args:
        route: method and path; what stands in braces differs from server to server.
        reason: which requests to it fail.
        more: the example: arguments of `requests.request`.
    """

    route: str
    reason: str
    more: dict[str, Any]


def _negative(route: str) -> Failure:
    return Failure(route, "a negative start or limit, which its database refuses", {"params": {"start": -1}})


FAILURES = (
    _negative("GET /agents"),
    Failure(
        "PATCH /agents",
        "an id that is missing or comes twice; any when the group `all` was deleted and made again",
        {"json": [{"authorized": True}]},
    ),
    Failure("PUT /agents/{agent_id}", "groups without an id", {"json": {"groups": [{"name": "X"}]}}),
    _negative("GET /agents/{agent_id}/jobs"),
    _negative("GET /groups"),
    Failure("POST /groups", "no name, or one that two groups have", {"json": {}}),
    Failure("PUT /groups/{group_id}", "a group that is not there", {"json": {"name": "q"}}),
    _negative("GET /users"),
    _negative("GET /tools"),
    _negative("GET /tools/{name}"),
    Failure("POST /tools", "fields that are missing, parameters without properties", {"json": {"name": "x"}}),
    Failure("POST /tools/{name}/zip", "fields that are missing, parameters without properties", {"files": _ZIP}),
    Failure(
        "PUT /settings",
        "a group of settings that is no object and is not in its schema; no integer for a setting that is one",
        {"json": {"cloud": "x"}},
    ),
    _negative("GET /branches/{branch_id}/flows/{kind}"),
    Failure("POST /projects/{project_id}/branches", "no name, or one that the project has", {"json": {"name": "main"}}),
    _negative("GET /runs/{run_id}/jobs"),
    _negative("GET /runs/{run_id}/results"),
)
