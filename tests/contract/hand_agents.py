"""Agents of one test's own, spoken for by hand, and the library's client beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import DesiredAgent, DesiredFleet
from kraken_fleet.plan import Plan, PlanPolicy
from kraken_fleet.reconcile import Event, Planned, reconcile
from tests.background import repeating
from tests.contract.kraken_server import TIMEOUT, KrakenServer
from tests.contract.workflow import Workflow
from tests.source_address import From
from tests.waiting import eventually

ECHO = {"tool": "shell", "cmd": "echo one"}


def client_of(server: KrakenServer) -> KrakenClient:
    """The library's client as the administrator."""
    return KrakenClient(server.url, PasswordCredentials(server.user, server.password), timeout=TIMEOUT)


@dataclass
class HandAgents:
    """What a test has brought to a server; what was authorized is unauthorized at the end."""

    server: KrakenServer
    client: KrakenClient
    ids: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)

    def announce(self, *, authorized: bool = False) -> tuple[int, str]:
        """A new agent: its id and its address."""
        agent_id, address = self.server.announce(authorized=authorized)
        self.ids.append(agent_id)
        return agent_id, address

    def speak(self, source: str, address: str) -> int:
        """An agent that claims `address` and connects from the loopback address `source`; its id."""
        _say(self.server, source, {"address": address, "msg": "get-job2"}).raise_for_status()
        self.ids.append(self.server.find(address)["id"])
        return self.ids[-1]

    def workflow(self) -> Workflow:
        """A branch of our own, with a group and its agent."""
        made = Workflow.made(self.server)
        self.branches.append(made.branch["id"])
        self.ids.append(made.agent_id)
        return made

    def record(self, agent_id: int) -> Any:
        """An agent as the API shows it."""
        return self.server.api("GET", f"/agents/{agent_id}").body

    def groups_of(self, agent_id: int) -> set[str]:
        return {group["name"] for group in self.record(agent_id)["groups"]}

    def reconcile(self, *agents: DesiredAgent, policy: PlanPolicy | None = None, **how: Any) -> list[Event]:
        """Make these agents, a slice of an inventory, as they should be."""
        return list(reconcile(self.client, DesiredFleet(agents, complete=False), policy, **how))

    def leave(self) -> None:
        """Take back every authorization, and end what still waits."""
        for branch_id in self.branches:
            for run in (run for flow in self.client.flows(branch_id) for run in flow.runs if run.jobs_waiting):
                self.client.cancel_run(run.id)
        if self.ids:
            changes = [{"id": agent_id, "authorized": False} for agent_id in sorted(set(self.ids))]
            assert self.server.api("PATCH", "/agents", changes).status == 200


def _say(server: KrakenServer, source: str, message: Mapping[str, object]) -> requests.Response:
    """A message of an agent that connects from the loopback address `source`, or from any if that is empty."""
    with requests.Session() as session:
        session.mount("http://", From(source))
        return session.post(f"{server.url}/backend", json=message, timeout=TIMEOUT)


def plan_of(events: list[Event]) -> Plan:
    """What a reconciliation planned."""
    return next(event.plan for event in events if isinstance(event, Planned))


def assert_gets_its_jobs(workflow: Workflow, group: str) -> None:
    """A run that names the group gets a job, which the workflow's agent takes and carries out."""
    run_id = replace(workflow, group=group).run([ECHO])
    job = workflow.take_job()
    assert (job["run_id"], job["agents_group_name"]) == (run_id, group)
    workflow.report(job, 0, status="done", duration=1)
    assert workflow.tell("get-job-step")["job_step"] == {"finish": True}
    assert workflow.job(job["id"])["finished"]  # completing it is left to a queue that all tests share


def why_without_jobs(workflow: Workflow, group: str) -> str:
    """What a run that names the group says when it ends without a job."""
    path = f"/runs/{replace(workflow, group=group).run([ECHO])}"
    run = eventually(lambda: workflow.server.api("GET", path).body, lambda found: found["note"])
    assert workflow.server.api("GET", f"{path}/jobs").body["items"] == []
    return str(run["note"])


@contextmanager
def polling(
    server: KrakenServer, address: str, info: Mapping[str, object] | None, *, source: str = ""
) -> Iterator[None]:
    """An agent that asks for jobs all the time, and says what it is as soon as it may: `info`, or nothing at all."""

    def poll() -> None:
        if info is not None:
            _say(server, source, {"address": address, "msg": "host-info", "info": info})
        _say(server, source, {"address": address, "msg": "get-job2"})

    with repeating(poll):
        yield
