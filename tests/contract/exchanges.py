"""What went back and forth during one test, whoever of the test's helpers and clients sent it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests

# What the server answers when it does what the agent's message asks for; whatever else it says is a refusal.
_GRANTED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "host-info": lambda body: "agent_id" in body,
    "get-job": lambda body: bool(body.get("job")),
    "get-job-step": lambda body: "tool" in body.get("job_step", {}),
    "step-result2": lambda body: "timeout" in body,
    "dispatch-tests": lambda body: bool(body.get("tests")),
    "keep-alive": lambda body: body == {},
}


@dataclass(frozen=True)
class Exchange:
    """One request and what came of it.

    Args:
        what: `PUT /groups/7`, or `message get-job`.
    """

    what: str
    succeeded: bool

    def is_one_of(self, template: str) -> bool:
        """Whether this is a case of `PUT /groups/{}` or `message get-job`."""
        pattern = re.escape(template).replace(re.escape("{}"), "[^/]+")
        return re.fullmatch(pattern, self.what) is not None


@contextmanager
def recorded() -> Iterator[list[Exchange]]:
    """All exchanges of this process until the end of the block."""
    found: list[Exchange] = []
    send = requests.Session.send

    def sent(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        answer = send(session, request, **how)
        found.append(_exchange(request, answer))
        return answer

    with mock.patch.object(requests.Session, "send", sent):
        yield found


def _exchange(request: requests.PreparedRequest, answer: requests.Response) -> Exchange:
    path = re.sub(r"^(/bk)?(/api)?", "", urlsplit(str(request.url)).path)
    if path == "/settings" and request.method == "GET":
        return Exchange("GET /settings", "general" in _json(answer.content))  # nobody is refused; most get less
    if path != "/backend":
        return Exchange(f"{request.method} {path}", answer.ok)
    message = _json(request.body)
    name = str(message.get("msg"))
    body = _json(answer.content)
    return Exchange(f"message {name}", answer.ok and _GRANTED.get(name, bool)(body))


def _json(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
