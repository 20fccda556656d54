"""A project of its own with one stage, and an agent in a group of its own to drive jobs by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.contract.kraken_server import KrakenServer
from tests.stages import stage_code
from tests.unique_names import unique_name
from tests.waiting import eventually

T = TypeVar("T")


def schema(group: str, steps: Sequence[Mapping[str, object]], **job: object) -> str:
    """A stage of one job."""
    environment = {"system": "any", "agents_group": group, "config": "default"}
    return stage_code({"name": "j", "timeout": 600, "steps": steps, "environments": [environment], **job})


@dataclass(frozen=True)
class Workflow:
    """One branch with a group and its only agent."""

    server: KrakenServer
    project: dict[str, Any]
    branch: dict[str, Any]
    group_id: int
    group: str
    agent_id: int
    address: str

    @classmethod
    def made(cls, server: KrakenServer) -> Workflow:
        project = server.api("POST", "/projects", {"name": unique_name()}).body
        branch = server.api("POST", f"/projects/{project['id']}/branches", {"name": "main"}).body
        group_id, group = server.group()
        agent_id, address = server.announce(authorized=True)
        server.api("PUT", f"/agents/{agent_id}", {"groups": [{"id": 1}, {"id": group_id}]})
        server.agent(address, "host-info", info={"system": "debian-12"})
        return cls(server, project, branch, group_id, group, agent_id, address)

    def run(self, steps: Sequence[Mapping[str, object]], **job: object) -> int:
        """Start a flow of one job with these steps; its run's id."""
        name = unique_name("stage")
        path = f"/branches/{self.branch['id']}/stages"
        stage = self.server.api("POST", path, {"name": name, "schema_code": schema(self.group, steps, **job)})
        assert stage.status == 201, stage.body
        flow = self.server.api("POST", f"/branches/{self.branch['id']}/flows/ci", {}).body
        runs = eventually(
            lambda: self.server.api("GET", f"/flows/{flow['id']}/runs").body,
            lambda found: any(run["stage_id"] == stage.body["id"] for run in found),
        )
        stopped = self.server.api("PUT", f"/stages/{stage.body['id']}", {"name": name, "enabled": False})
        assert stopped.status == 200, stopped.body
        return int(next(run["id"] for run in runs if run["stage_id"] == stage.body["id"]))

    def tell(self, msg: str, **fields: Any) -> Any:
        """A message of the agent; the body of the answer."""
        said = self.server.agent(self.address, msg, **fields)
        assert said.status == 200
        return said.body

    def take_job(self, msg: str = "get-job2") -> dict[str, Any]:
        """Poll as an agent does until there is a job."""
        return dict(eventually(lambda: self.tell(msg)["job"], bool))

    def report(self, job: dict[str, Any], step: int, **result: object) -> Any:
        """Send a step's result."""
        return self.tell("step-result2", job_id=job["id"], step_idx=step, result=result)

    def job(self, job_id: int) -> dict[str, Any]:
        """The job as the API shows it."""
        return dict(self.server.api("GET", f"/jobs/{job_id}").body)
