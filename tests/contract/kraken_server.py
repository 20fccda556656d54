"""Speaking to a Kraken server without any client library of ours: what goes out and comes in is plain HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tests.unique_names import unique_address, unique_name

TIMEOUT = 60


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    body: Any
    content_type: str


@dataclass(frozen=True)
class KrakenServer:
    """The two interfaces of a server: the REST API with its tokens, and the agents' endpoint.

    Args:
        kind: `embedded` or `real`.
        user, password: the administrator.
        plain: token of an account that is not an administrator.
    """

    kind: str
    url: str
    user: str
    password: str
    token: str
    plain: str

    def api(
        self, method: str, path: str, body: object = ..., *, token: str | None = "", prefix: str = "/api", **more: Any
    ) -> Answer:
        """A request to the API.

        Args:
            body: sent as JSON; left out when not given.
            token: "" for the administrator's, None for none.
            more: for requests, for example `headers` or `data`.
        """
        bearer = self.token if token == "" else token
        headers = {**({"Authorization": f"Bearer {bearer}"} if bearer else {}), **more.pop("headers", {})}
        given: dict[str, Any] = {} if body is ... else {"json": body}
        answer = requests.request(method, self.url + prefix + path, headers=headers, timeout=TIMEOUT, **given, **more)
        return _answer(answer)

    def agent(self, address: object, msg: str, *, prefix: str = "", **fields: Any) -> Answer:
        """A message of an agent."""
        return self.message({"address": address, "msg": msg, **fields}, prefix=prefix)

    def message(self, message: object, *, prefix: str = "") -> Answer:
        """Send any JSON to the agents' endpoint."""
        return _answer(requests.post(f"{self.url}{prefix}/backend", json=message, timeout=TIMEOUT))

    def file(self, path: str) -> requests.Response:
        """A file outside the API."""
        return requests.get(self.url + path, timeout=TIMEOUT)

    def announce(self, *, authorized: bool = False) -> tuple[int, str]:
        """A new agent: its id and its address, which nobody else has."""
        address = unique_address()
        assert self.agent(address, "get-job2").body == {"unauthorized": True}
        agent_id = self.find(address)["id"]
        if authorized:
            assert self.api("PATCH", "/agents", [{"id": agent_id, "authorized": True}]).status == 200
        return agent_id, address

    def find(self, address: str) -> Any:
        """An unauthorized agent that is among the newest, as the list shows it. The server may know thousands."""
        newest = "unauthorized=true&limit=100&sort_field=id&sort_dir=desc"
        listed = self.api("GET", f"/agents?{newest}").body["items"]
        return next(agent for agent in listed if agent["address"] == address)

    def group(self, name: str = "") -> tuple[int, str]:
        """A new agents group with a name that nobody else uses."""
        unique = name or unique_name()
        return self.api("POST", "/groups", {"name": unique}).body["id"], unique


def _answer(answer: requests.Response) -> Answer:
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    return Answer(answer.status_code, body, answer.headers.get("content-type", ""))
