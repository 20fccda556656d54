"""A real embedded server, agents that speak to it, and time that tests can make pass."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet
from kraken_fleet.reconcile import Event
from kraken_fleet.server.testing import running
from tests.stages import shell_job, stage_code


@dataclass
class Lab:
    """A server and a client of it; `writes` are the changing requests that were sent."""

    url: str
    client: KrakenClient
    requests: list[str] = field(default_factory=list)

    @property
    def writes(self) -> list[str]:
        return [line for line in self.requests if not line.startswith("GET") and "/sessions" not in line]

    def speak(self, address: str, msg: str = "get-job", *, source: str = "", **more: object) -> dict[str, Any]:
        """One message of an agent, from the given source address."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=100, source_address=(source or address, 0)
        )
        body = json.dumps({"address": address, "msg": msg, **more})
        connection.request("POST", "/backend", body, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            found: dict[str, Any] = json.loads(answer.read())
        connection.close()
        return found

    def tell(self, address: str, **info: object) -> None:
        """The agent's host info."""
        known = {"system": "debian-12", "system_type": "linux", "distro_name": "debian", "distro_version": "12"}
        self.speak(address, "host-info", info={**known, "isolation_type": "bare-metal", "isolation": "x", **info})

    def agent(self, address: str) -> Agent:
        both = (*self.client.agents(), *self.client.agents(unauthorized=True))
        return next(agent for agent in both if agent.address == address)

    def raw(self, method: str, path: str, body: object = None) -> Any:
        """A request that the client would refuse to send: what somebody else may do."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=100)
        connection.request(method, path, json.dumps(body), self._headers())
        answer = json.loads(connection.getresponse().read() or "null")
        connection.close()
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}

    token: str = ""

    def start_job(self) -> None:
        """Starts a job on the group gpu."""
        project = self.client.create_project("p")
        branch = self.client.create_branch(project.id, "b")
        self.client.create_stage(branch.id, "s", stage_code(shell_job("gpu", "true")))
        self.client.start_flow(branch.id)


@contextmanager
def running_lab(folder: Path, monkeypatch: Any) -> Iterator[Lab]:
    import requests

    with running(folder) as server, KrakenClient(server.url, PasswordCredentials("admin", server.password)) as client:
        lab = Lab(server.url, client)
        answer = requests.post(
            f"{server.url}/api/sessions", json={"user": "admin", "password": server.password}, timeout=100
        )
        lab.token = answer.json()["token"]
        sent = requests.Session.send

        def counted(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
            lab.requests.append(f"{request.method} {request.path_url}")
            return sent(session, request, **how)

        monkeypatch.setattr(requests.Session, "send", counted)
        yield lab


def fleet(*agents: tuple[str, str, str], complete: bool = True) -> DesiredFleet:
    """From (host, address, groups separated by blanks)."""
    return DesiredFleet(
        tuple(DesiredAgent(host, address, frozenset(groups.split())) for host, address, groups in agents), complete
    )


def kinds(events: Iterator[Event]) -> list[str]:
    return [event.kind for event in events]
