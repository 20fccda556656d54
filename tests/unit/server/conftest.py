"""A real server on free ports, someone who uses its API, and agents driven by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.server.testing import RunningServer, running
from tests.stages import stage_code

_numbers = iter(range(1, 10_000))


class Api:
    """Raw calls, so that tests see statuses and bodies as they are."""

    def __init__(self, server: RunningServer, user: str = "admin", password: str | None = None) -> None:
        self.server = server
        self.url = server.url
        self.http = requests.Session()
        # A proxy in the environment of whoever runs the tests is not meant for a server on this machine.
        self.http.trust_env = False
        body = {"user": user, "password": server.password if password is None else password}
        answer = self.http.post(f"{self.url}/api/sessions", json=body, timeout=100)
        assert answer.status_code == 201, answer.text
        self.token: str = answer.json()["token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.url}{path}", json=body, timeout=100, **options)

    def get(self, path: str) -> Any:
        answer = self.call("GET", f"/api{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def group(self, name: str) -> int:
        return int(self.call("POST", "/api/groups", {"name": name}).json()["id"])

    def stage(self, jobs: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """A stage in a branch of its own."""
        name = f"p{next(_numbers)}"
        project = self.call("POST", "/api/projects", {"name": name}).json()["id"]
        branch = self.call("POST", f"/api/projects/{project}/branches", {"name": "main"}).json()["id"]
        wanted = {"name": "s", "schema_code": stage_code(*jobs, **more)}
        stage = self.call("POST", f"/api/branches/{branch}/stages", wanted)
        assert stage.status_code == 201, stage.text
        return {"branch": branch, "project": project, **stage.json()}

    def run(self, stage: dict[str, Any]) -> dict[str, Any]:
        """Starts the stage; gives its run."""
        flow = self.call("POST", f"/api/branches/{stage['branch']}/flows/ci", {})
        assert flow.status_code == 201, flow.text
        return dict(flow.json()["runs"][0])

    def jobs(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return list(self.get(f"/runs/{run['id']}/jobs?limit=100")["items"])

    def start(self, jobs: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
        return self.jobs(self.run(self.stage(jobs, **more)))


class HandAgent:
    """An agent that says exactly what a test wants it to say."""

    def __init__(self, api: Api, address: str | None = None) -> None:
        number = next(_numbers)
        self.api = api
        self.address = address or f"127.0.{number // 250}.{number % 250 + 1}"

    def say(self, msg: str, **more: Any) -> Any:
        answer = self.post(msg, **more)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)

    def post(self, msg: str, **more: Any) -> requests.Response:
        body = {"address": self.address, "msg": msg, **more}
        return requests.post(f"{self.api.url}/backend", json=body, timeout=100)

    def enrol(self, *groups: int, system: str = "debian-12", **info: Any) -> HandAgent:
        """Announced, authorized, with host info, and in these groups beside `all`."""
        self.say("get-job")
        assert self.api.call("PATCH", "/api/agents", [{"id": self.id, "authorized": True}]).status_code == 200
        self.say("host-info", info={"system": system, **info})
        if groups:
            # 1 is `all`: PUT sets all groups, and would take the agent out of it.
            body = {"groups": [{"id": group} for group in (1, *groups)]}
            assert self.api.call("PUT", f"/api/agents/{self.id}", body).status_code == 200
        return self

    @property
    def id(self) -> int:
        for unauthorized in ("true", "false"):
            for item in self.api.get(f"/agents?limit=10000&unauthorized={unauthorized}")["items"]:
                if item["address"] == self.address:
                    return int(item["id"])
        raise AssertionError(f"no agent {self.address}")

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.api.get(f"/agents/{self.id}"))

    def job(self) -> dict[str, Any]:
        return dict(self.say("get-job")["job"])

    def work(self, outcome: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """Does the whole job it has. Gives the steps it was asked to do."""
        job = self.job()
        done: list[dict[str, Any]] = []
        while True:
            step = self.say("get-job-step")["job_step"]
            if step["finish"]:
                return done
            done.append(step)
            result = outcome(step) if outcome else {"status": "done", "duration": 1}
            self.say("step-result2", job_id=job["id"], step_idx=step["index"], result=result)


def shell(cmd: str, **more: Any) -> dict[str, Any]:
    return {"tool": "shell", "cmd": cmd, **more}


def job_spec(*steps: dict[str, Any], group: str = "all", name: str = "j", **environment: Any) -> dict[str, Any]:
    where = {"system": "any", "agents_group": group, "config": "c", **environment}
    return {"name": name, "timeout": 600, "steps": list(steps) or [shell("echo one")], "environments": [where]}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "data") as found:
        yield found


@pytest.fixture
def api(server: RunningServer) -> Api:
    return Api(server)
