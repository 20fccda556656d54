"""A real agent at one of the two servers, and flows of many jobs on it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from kraken_fleet.server.testing import running
from tests import waiting
from tests.contract.kraken_server import TIMEOUT, KrakenServer
from tests.contract.workflow import Workflow
from tests.real_server.fixtures import RealServer
from tests.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from tests.stages import stage_code
from tests.unique_names import unique_name

AGENT_SOURCE = Path(__file__).resolve().parents[2] / "agent"
# The last step of each job: when its line is in the log, the log is complete.
LAST_LINE = "end of the job"
# A loaded machine, and a scheduler that looks every five seconds.
T = TypeVar("T")
DONE = 2
_PAGE = 5000
_RUN_OVER = (4, 5)

Step = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a job went, as the server tells it."""

    run: int
    job: dict[str, Any]
    log: list[dict[str, Any]]

    def step(self, name: str) -> dict[str, Any]:
        """The step with this name."""
        return next(step for step in self.job["steps"] if step["name"] == name)

    def lines(self, name: str) -> list[str]:
        """What a step wrote."""
        index = self.step(name)["index"]
        return [str(entry["message"]) for entry in self.log if entry["step"] == index]

    def failures(self) -> list[tuple[str, Any]]:
        """The steps that did not end well, with what is known about them."""
        return [(each["name"], each["result"]) for each in self.job["steps"] if each["status"] != DONE]


class AgentProcess:
    """An agent of this checkout.

    Args:
        home: its data directory; what it writes is in the file `console` there.
        variables: its environment.
    """

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        self._home = home
        self._variables = variables
        home.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        command = [sys.executable, "-m", "kraken_agent", "run"]
        with (self._home / "console").open("ab") as console:
            self._process = subprocess.Popen(
                command, env=self._variables, cwd=self._home, stdout=console, stderr=console
            )

    @property
    def installation(self) -> str:
        """What its containers are labelled with."""
        return str(json.loads((self._home / "installation.json").read_text())["id"])

    def children(self) -> list[int]:
        """The processes that it has started."""
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """End it as an accident does; its children are let be."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it as the service manager does."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class AgentAtServer:
    """A branch of our own with a group whose only agent is a process of ours."""

    workflow: Workflow
    agent: AgentProcess
    flow: int = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def server(self) -> KrakenServer:
        return self.workflow.server

    @property
    def branch(self) -> int:
        return int(self.workflow.branch["id"])

    def keep_secret(self, name: str, **parts: str) -> None:
        """Give the project a secret, which steps then name."""
        body = {"name": name, "kind": "ssh-key" if "key" in parts else "simple", **parts}
        said = self.server.api("POST", f"/projects/{self.workflow.project['id']}/secrets", body)
        assert said.status == 201, said.body

    def run(self, jobs: Mapping[str, Sequence[Step]], *, system: str = "any", executor: str = "local") -> None:
        """Run a stage of these jobs in the one flow, and wait until all its jobs are over and their logs have come."""
        self.finish(self.start(jobs, system=system, executor=executor), len(jobs))

    def finish(self, run: int, count: int = 1) -> None:
        """Wait until so many jobs of a run are over and their logs have come."""
        listed = eventually(lambda: self.jobs(run), lambda found: len(found) == count and _all_over(found))
        for job in listed:
            shown = self.server.api("GET", f"/jobs/{job['id']}").body
            self.outcomes[job["name"]] = Outcome(run, shown, self._log(job["id"]))

    def start(self, jobs: Mapping[str, Sequence[Step]], *, system: str = "any", executor: str = "local") -> int:
        """Run a stage of these jobs in the one flow; its run's id."""
        return self._start(self.stage(jobs, system=system, executor=executor))

    def stage(self, jobs: Mapping[str, Sequence[Step]], *, system: str = "any", executor: str = "local") -> int:
        """Make a stage of these jobs; its id. It begins by itself only in a flow that is not there yet."""
        environment = {"system": system, "agents_group": self.workflow.group, "config": "c", "executor": executor}
        last = {"tool": "shell", "name": "last", "cmd": f"echo {LAST_LINE}", "when": "always"}
        specified = [
            {"name": name, "timeout": 600, "steps": [*steps, last], "environments": [environment]}
            for name, steps in jobs.items()
        ]
        code = stage_code(*specified, triggers={"parent": not self.flow})
        body = {"name": unique_name("stage"), "schema_code": code}
        made = self.server.api("POST", f"/branches/{self.branch}/stages", body)
        assert made.status == 201, made.body
        return int(made.body["id"])

    def _start(self, stage: int) -> int:
        if self.flow:
            return int(self.server.api("POST", f"/flows/{self.flow}/runs", {"stage_id": stage}).body["id"])
        self.flow = int(self.server.api("POST", f"/branches/{self.branch}/flows/ci", {}).body["id"])
        runs = eventually(lambda: self.server.api("GET", f"/flows/{self.flow}/runs").body, bool)
        return int(runs[0]["id"])

    def jobs(self, run: int) -> list[dict[str, Any]]:
        """The jobs of a run."""
        return list(self.server.api("GET", f"/runs/{run}/jobs").body["items"])

    def _log(self, job: int) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while True:
                page = self.server.api("GET", f"/jobs/{job}/logs?start={len(found)}&limit={_PAGE}").body
                found += page["items"]
                if not page["items"] or len(found) >= page["total"]:  # a page may be shorter than what was asked for
                    return found

        return eventually(read, lambda found: bool(found) and found[-1]["message"] == LAST_LINE)


@contextlib.contextmanager
def embedded_server(home: Path, s3: S3Server) -> Iterator[KrakenServer]:
    """An embedded server that names an object store."""
    with running(home, minio_access_key=ACCESS_KEY, minio_secret_key=SECRET_KEY) as started:
        server = KrakenServer("embedded", started.url, started.user, started.password, _token(started), "")
        said = server.api("PUT", "/settings", {"general": {"minio_addr": s3.address}})
        assert said.status == 200, said.body
        yield server


def real_kraken_server(server: RealServer) -> KrakenServer:
    """The unmodified server, which has its own object store."""
    return KrakenServer("real", server.url, server.user, server.password, _token(server), "")


@contextlib.contextmanager
def agent_at(server: KrakenServer, home: Path, **environment: str) -> Iterator[AgentAtServer]:
    """Run our agent in a group of its own at a server."""
    workflow = Workflow.made(server)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")}
    variables.update(
        PYTHONPATH=str(AGENT_SOURCE),
        KRAKEN_SERVER_ADDR=server.url,
        KRAKEN_DATA_DIR=str(home),
        KRAKEN_AGENT_ADDRESS=workflow.address,
        KRAKEN_AGENT_DRAIN_SECONDS="0",
        **environment,
    )
    agent = AgentProcess(home, variables)
    agent.start()
    try:
        yield AgentAtServer(workflow, agent)
    finally:
        agent.stop()
        server.api("PATCH", "/agents", [{"id": workflow.agent_id, "authorized": False}])


def _all_over(jobs: Sequence[Mapping[str, Any]]) -> bool:
    return all(job["state"] in _RUN_OVER for job in jobs)


def _token(server: Any) -> str:
    account = {"user": server.user, "password": server.password}
    answer = requests.post(f"{server.url}/api/sessions", json=account, timeout=TIMEOUT)
    answer.raise_for_status()
    return str(answer.json()["token"])


def eventually(read: Callable[[], T], wanted: Callable[[T], object]) -> T:
    """Read until it is as wanted. Jobs here wait for the real server's scheduler and queue, which all tests share."""
    return waiting.eventually(read, wanted, seconds=150)
