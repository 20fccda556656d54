"""Projects, branches, stages, flows, runs, jobs and logs: what is needed to run a job and read what it did."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import problem, timeless
from tests.contract.workflow import Workflow, schema
from tests.unique_names import unique_name
from tests.waiting import eventually

UNKNOWN = 999999999
ECHO = {"tool": "shell", "cmd": "echo one"}
KEPT = {"ci_artifacts": 6, "ci_logs": 6, "dev_artifacts": 3, "dev_logs": 3}


@pytest.fixture
def workflow(server: KrakenServer) -> Workflow:
    """Everything of the test's own."""
    return Workflow.made(server)


def test_a_project_is_created_once(server: KrakenServer) -> None:
    name = unique_name()
    said = server.api("POST", "/projects", {"name": name})
    expected: dict[str, Any] = {"branches": [], "created": "<time>", "deleted": None, "description": "", "name": name}
    expected |= {"id": said.body["id"], "secrets": [], "webhooks": {}}
    assert (said.status, timeless(said.body)) == (201, expected)
    again = server.api("POST", "/projects", {"name": name})
    assert (again.status, again.body) == (400, problem(400, f"Project with name {name} already exists"))
    assert name in [project["name"] for project in server.api("GET", "/projects").body["items"]]


@pytest.mark.parametrize(
    ("body", "detail"),
    [({}, "Missing name in project"), ({"name": 5}, "5 is not of type 'string' - 'name'")],
)
def test_projects_that_cannot_be(server: KrakenServer, body: object, detail: str) -> None:
    said = server.api("POST", "/projects", body)
    assert (said.status, said.body) == (400, problem(400, detail))


def test_a_branch_belongs_to_its_project(workflow: Workflow) -> None:
    branch = timeless(workflow.branch)
    assert branch == {
        "branch_name": "main",
        "created": "<time>",
        "deleted": None,
        "env_vars": {},
        "id": branch["id"],
        "name": "main",
        "project_id": workflow.project["id"],
        "project_name": workflow.project["name"],
        "retention_policy": KEPT,
    }


ABSENT = [
    ("POST", f"/projects/{UNKNOWN}/branches", {"name": "main"}, "Project not found"),
    ("POST", f"/branches/{UNKNOWN}/stages", {"name": "s", "schema_code": schema("all", [])}, "Branch not found"),
    ("POST", f"/branches/{UNKNOWN}/flows/ci", {}, f"Branch {UNKNOWN} not found"),
    ("GET", f"/branches/{UNKNOWN}/flows/ci", ..., f"Branch {UNKNOWN} not found"),
    ("GET", f"/branches/{UNKNOWN}/cfg", ..., "Branch not found"),
    ("GET", f"/flows/{UNKNOWN}", ..., "Flow not found"),
    ("GET", f"/flows/{UNKNOWN}/runs", ..., "Flow not found"),
    ("GET", f"/runs/{UNKNOWN}", ..., "Run not found"),
    ("DELETE", f"/runs/{UNKNOWN}", ..., "Run not found"),
    ("GET", f"/runs/{UNKNOWN}/jobs", ..., "Run not found"),
    ("GET", f"/jobs/{UNKNOWN}", ..., "Job not found"),
    ("DELETE", f"/jobs/{UNKNOWN}", ..., "Job not found"),
    ("GET", f"/jobs/{UNKNOWN}/logs?start=0&limit=10", ..., "Job not found"),
    ("GET", f"/logs?start=0&limit=10&agent_id={UNKNOWN}", ..., "Agent not found"),
    ("GET", f"/logs?start=0&limit=10&job_id={UNKNOWN}", ..., "Job not found"),
    ("GET", f"/logs?start=0&limit=10&run_id={UNKNOWN}", ..., "Run not found"),
    ("GET", f"/logs?start=0&limit=10&flow_id={UNKNOWN}", ..., "Flow not found"),
    ("GET", f"/logs?start=0&limit=10&branch_id={UNKNOWN}", ..., "Branch not found"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"), ABSENT, ids=[f"{method} {path}" for method, path, *_ in ABSENT]
)
def test_what_does_not_exist(server: KrakenServer, method: str, path: str, body: object, detail: str) -> None:
    said = server.api(method, path, body)
    assert (said.status, said.body) == (404, problem(404, detail))


def test_a_branch_shows_its_stages(server: KrakenServer, workflow: Workflow) -> None:
    path = f"/branches/{workflow.branch['id']}"
    stage = server.api("POST", f"{path}/stages", {"name": "s", "schema_code": schema(workflow.group, [ECHO])}).body
    said = server.api("GET", f"{path}/cfg")
    assert (said.status, said.body["project_id"]) == (200, workflow.project["id"])
    assert [(each["id"], each["name"], each["schema_code"]) for each in said.body["stages"]] == [
        (stage["id"], "s", stage["schema_code"])
    ]


def test_the_flows_of_a_branch_come_newest_first_with_their_runs(server: KrakenServer, workflow: Workflow) -> None:
    ran = [workflow.run([ECHO]), workflow.run([ECHO])]
    said = server.api("GET", f"/branches/{workflow.branch['id']}/flows/ci?start=0&limit=10")
    assert (said.status, said.body["total"]) == (200, 2)
    assert [[run["id"] for run in flow["runs"]] for flow in said.body["items"]] == [[ran[1]], [ran[0]]]


def test_a_stage_comes_back_with_its_schema(server: KrakenServer, workflow: Workflow) -> None:
    code = schema(workflow.group, [ECHO])
    said = server.api("POST", f"/branches/{workflow.branch['id']}/stages", {"name": "s", "schema_code": code})
    assert said.status == 201
    assert (said.body["name"], said.body["schema_code"], said.body["enabled"]) == ("s", code, True)
    assert said.body["schema"]["jobs"][0]["steps"] == [ECHO]
    assert server.api("GET", f"/stages/{said.body['id']}").body == said.body


@pytest.mark.parametrize("body", [{}, {"enabled": False}, {"schema_code": "x"}])
def test_a_stage_is_neither_made_nor_changed_without_its_name(
    server: KrakenServer, workflow: Workflow, body: dict[str, object]
) -> None:
    path = f"/branches/{workflow.branch['id']}/stages"
    code = schema(workflow.group, [])
    stage = server.api("POST", path, {"name": "named", "schema_code": code}).body
    for method, where in (("POST", path), ("PUT", f"/stages/{stage['id']}")):
        said = server.api(method, where, body)
        assert (said.status, said.body) == (400, problem(400, "'name' is a required property"))
    assert server.api("GET", f"/stages/{stage['id']}").body["enabled"] is True


def test_a_stage_changes_its_schema_and_keeps_it_when_the_new_one_is_refused(
    server: KrakenServer, workflow: Workflow
) -> None:
    body = {"name": "s", "schema_code": schema(workflow.group, [ECHO])}
    stage = server.api("POST", f"/branches/{workflow.branch['id']}/stages", body).body
    path = f"/stages/{stage['id']}"
    changed = {"name": "t", "schema_code": schema(workflow.group, [ECHO, ECHO])}
    said = server.api("PUT", path, changed)
    assert (said.status, said.body["name"], said.body["schema_code"]) == (200, "t", changed["schema_code"])
    refused = server.api("PUT", path, {"name": "t", "schema_code": schema("no-such-group", [ECHO])})
    assert (refused.status, refused.body) == (400, problem(400, "Cannot find no-such-group agents group"))
    assert server.api("GET", path).body["schema_code"] == changed["schema_code"]


def test_a_stage_may_not_name_an_unknown_group(server: KrakenServer, workflow: Workflow) -> None:
    body = {"name": "s", "schema_code": schema("no-such-group", [ECHO])}
    said = server.api("POST", f"/branches/{workflow.branch['id']}/stages", body)
    assert (said.status, said.body) == (400, problem(400, "Cannot find no-such-group agents group"))


def test_a_stage_that_is_not_python_is_refused(server: KrakenServer, workflow: Workflow) -> None:
    body = {"name": "s", "schema_code": "def stage(ctx):\n return {"}
    said = server.api("POST", f"/branches/{workflow.branch['id']}/stages", body)
    assert said.status == 400
    assert said.body["detail"].startswith("compilation error: ")
    assert "'{' was never closed" in said.body["detail"]


def test_a_flow_its_runs_and_their_jobs_can_be_followed(server: KrakenServer, workflow: Workflow) -> None:
    run_id = workflow.run([ECHO])
    run = server.api("GET", f"/runs/{run_id}").body
    assert (run["branch_id"], run["flow_kind"]) == (workflow.branch["id"], "ci")
    flow = server.api("GET", f"/flows/{run['flow_id']}").body
    assert (flow["kind"], flow["branch_id"], flow["finished"]) == ("ci", workflow.branch["id"], None)
    assert run_id in [each["id"] for each in flow["runs"]]
    jobs = eventually(lambda: server.api("GET", f"/runs/{run_id}/jobs").body, lambda found: found["total"] == 1)
    assert [(job["name"], job["run_id"]) for job in jobs["items"]] == [("j", run_id)]


def test_a_job_for_a_group_without_agents_ends_with_a_note(server: KrakenServer, workflow: Workflow) -> None:
    server.api("PUT", f"/agents/{workflow.agent_id}", {"groups": [{"id": 1}]})
    run_id = workflow.run([ECHO])
    jobs = eventually(lambda: server.api("GET", f"/runs/{run_id}/jobs").body["items"], bool)
    assert [(job["state"], job["completion_status"]) for job in jobs] == [(5, 10)]
    assert jobs[0]["notes"] == f"there are no agents in group '{workflow.group}' - add some agents"


def test_a_group_called_as_a_deleted_one_gets_no_jobs_until_that_is_renamed(
    server: KrakenServer, workflow: Workflow
) -> None:
    deleted, name = server.group()
    server.api("DELETE", f"/groups/{deleted}")
    server.group(name)
    twice = Workflow(**{**vars(workflow), "group": name})
    run_id = twice.run([ECHO])
    note = "Triggering run's jobs failed: Multiple rows were found when one or none was required"
    run = eventually(lambda: server.api("GET", f"/runs/{run_id}").body, lambda found: bool(found["note"]))
    assert (run["note"], server.api("GET", f"/runs/{run_id}/jobs").body["total"]) == (note, 0)
    server.api("PUT", f"/groups/{deleted}", {"name": f"{name}-deleted"})
    healed = twice.run([ECHO])
    assert eventually(lambda: server.api("GET", f"/runs/{healed}/jobs").body["total"], bool) == 1


def test_cancelling_a_run_ends_its_jobs(server: KrakenServer, workflow: Workflow) -> None:
    run_id = workflow.run([ECHO])
    job = workflow.take_job()
    assert server.api("DELETE", f"/runs/{run_id}").status == 200
    ended = eventually(lambda: workflow.job(job["id"]), lambda found: found["state"] == 5)
    assert ended["state"] == 5
    assert ended["completion_status"] not in (None, 0)


def test_log_lines_that_an_agent_sent_can_be_read_in_order(server: KrakenServer, workflow: Workflow) -> None:
    workflow.run([ECHO])
    job = workflow.take_job()
    address = workflow.tell("get-job2") and server.agent(workflow.address, "get-job2").body["cfg"]["clickhouse_addr"]
    lines = [f"line {number} äöü" for number in range(30)]
    _send_log(address, job, lines)
    path = f"/jobs/{job['id']}/logs?start=0&limit=100"
    log = eventually(lambda: server.api("GET", path).body, lambda found: found["total"] == len(lines))
    assert [entry["message"] for entry in log["items"]] == lines
    assert log["total"] == len(lines)
    first = log["items"][0]
    assert set(first) == {"host", "job", "level", "message", "service", "step", "time", "tool"}
    kept = {"host": "h", "job": job["id"], "level": "info", "service": "agent", "step": 0, "tool": "shell"}
    assert {name: first[name] for name in kept} == kept
    page = server.api("GET", f"/jobs/{job['id']}/logs?start=10&limit=5&order=asc").body
    assert [entry["message"] for entry in page["items"]] == lines[10:15]
    last = server.api("GET", f"/jobs/{job['id']}/logs?start=0&limit=1&order=desc").body
    assert [entry["message"] for entry in last["items"]] == lines[-1:]


def test_the_whole_log_can_be_asked_about_a_job_or_an_agent(server: KrakenServer, workflow: Workflow) -> None:
    workflow.run([ECHO])
    job = workflow.take_job()
    _send_log(server.agent(workflow.address, "get-job2").body["cfg"]["clickhouse_addr"], job, ["one\ntwo", "three"])
    for query in (f"job_id={job['id']}", f"agent_id={workflow.agent_id}", f"run_id={job['run_id']}"):
        # What the server says of the job is in the same log.
        mine = eventually(partial(_agents_log, server, query), lambda found: len(found) >= 3)
        assert [entry["message"] for entry in mine] == ["one", "two", "three"]
        origin = {"path": "/x.py", "lineno": 1, "branch": job["branch_id"], "flow_kind": 0, "flow": job["flow_id"]}
        origin |= {"run": job["run_id"], "agent": workflow.agent_id, "level": "info", "host": "h", "step": 0}
        assert {name: mine[0][name] for name in origin} == origin
    last = server.api("GET", f"/logs?start=0&limit=1&order=desc&agent_id={workflow.agent_id}").body
    assert [entry["message"] for entry in last["items"]] == ["three"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "Missing query parameter 'start'"),
        ("?start=0&limit=-1", "incorrect limit value: -1"),
        ("?start=-1&limit=1", "incorrect start value: -1"),
        ("?start=0&limit=1&order=up", "incorrect order value: up"),
    ],
)
@pytest.mark.parametrize("path", [f"/jobs/{UNKNOWN}/logs", "/logs"])
def test_pages_of_a_log_that_cannot_be(server: KrakenServer, path: str, query: str, detail: str) -> None:
    said = server.api("GET", path + query)
    assert (said.status, said.body) == (400, problem(400, detail))


def _agents_log(server: KrakenServer, query: str) -> list[Any]:
    log = server.api("GET", f"/logs?start=0&limit=100&order=asc&level=info&{query}").body
    return [entry for entry in log["items"] if entry["service"] == "agent"]


def _send_log(address: str, job: dict[str, object], lines: list[str]) -> None:
    """As an agent does: one datagram a line."""
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for line in lines:
            record = {
                "@timestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "message": line,
                "host": "h",
                "path": "/x.py",
                "lineno": 1,
                "level": "INFO",
                "logger_name": "t",
                "service": "agent",
                "tool": "shell",
                "step": 0,
                "job": job["id"],
                "run": job["run_id"],
                "flow": job["flow_id"],
                "branch": job["branch_id"],
                "flow_kind": 0,
                "agent": job["agent_id"],
            }
            sender.sendto(json.dumps(record).encode(), (host, int(port)))
