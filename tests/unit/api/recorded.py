"""What the recorded Kraken 1.7.36 is asked and answers: requests, replies, problems, agents and groups."""

from __future__ import annotations

from dataclasses import dataclass, field

BAD_TOKEN = (
    "The server could not verify that you are authorized to access the URL requested. You either supplied the wrong "
    "credentials (e.g. a bad password), or your browser doesn't understand how to supply the credentials required."
)
NOT_FOUND = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try "
    "again."
)
PASSWORD = "correct-horse-battery"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: object
    token: str | None
    headers: dict[str, str]


@dataclass
class Reply:
    """What to answer. `drop` closes the connection unanswered, `delay` waits that many seconds first."""

    status: int = 200
    body: object = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


def problem(status: int, detail: str) -> Reply:
    titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
    body = {"detail": detail, "status": status, "title": titles.get(status, ""), "type": "about:blank"}
    return Reply(status, body, content_type="application/problem+json")


def agent_json(agent_id: int, **changes: object) -> dict[str, object]:
    """An agent as recorded: `GET /api/agents/1` after it was authorized."""
    address = f"127.0.9.{agent_id}"
    return {
        "address": address,
        "authorized": True,
        "comment": None,
        "created": "2026-11-23T16:29:57Z",
        "deleted": None,
        "disabled": False,
        "extra_attrs": None,
        "groups": [{"id": 1, "name": "all"}],
        "host_info": None,
        "id": agent_id,
        "ip_address": "127.0.0.1",
        "job": None,
        "last_seen": "2026-11-23T16:29:57Z",
        "name": address,
        "state": 0,
        "status_line": None,
        "user_attrs": None,
        **changes,
    }


def group_json(group_id: int, name: str, **changes: object) -> dict[str, object]:
    """A group as recorded, its deployment shortened."""
    return {
        "agents_count": 0,
        "created": "2026-11-23T16:29:57Z",
        "deleted": None,
        "deployment": {"kubernetes": {"instances_limit": 5}, "method": 0},
        "id": group_id,
        "name": name,
        "project_id": None,
        "project_name": None,
        **changes,
    }
