"""From a project to the log line of a job, with bodies as kraken-server's models.py writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import RequestRejectedError, UnexpectedAnswerError
from kraken_fleet.model import Branch, Project, RunState, Stage, StepStatus
from tests.unit.api.fake_kraken import FakeKraken
from tests.unit.api.recorded import Reply, Request, problem

STAGE = {"id": 4, "name": "s", "schema_code": "def stage(ctx): ...", "schema": {}, "enabled": True, "repo_state": 1}
RUN = {"id": 6, "stage_id": 4, "flow_id": 5, "state": "in-progress", "stage_name": "s", "note": None, "seq": {}}
STEP = {"id": 1, "index": 0, "tool": "shell", "job_id": 7, "status": 2, "name": "echo one", "cmd": "echo one"}
JOB = {
    "id": 7,
    "name": "j",
    "state": 5,
    "completion_status": 0,
    "run_id": 6,
    "agent_id": 4,
    "agent_name": "127.0.0.1",
    "agents_group_name": "hosts",
    "system": "any",
    "executor": "local",
    "started": "2026-11-23T16:34:40Z",
    "notes": None,
    "steps": [STEP],
}


def test_projects_with_their_branches(fake: FakeKraken, client: KrakenClient) -> None:
    branch = {"id": 3, "name": "master", "project_id": 2, "ci_flows": []}
    fake.on("GET", "/projects", lambda request: Reply(body={"items": [{"id": 2, "name": "p", "branches": [branch]}]}))
    assert client.projects() == (Project(2, "p", (Branch(3, "master", 2),)),)


def test_project_branch_and_stage_are_created(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("POST", "/projects", lambda request: Reply(201, {"id": 2, "name": "p", "branches": []}))
    fake.on("POST", "/projects/2/branches", lambda request: Reply(201, {"id": 3, "name": "b", "project_id": 2}))
    fake.on("POST", "/branches/3/stages", lambda request: Reply(201, STAGE))
    assert client.create_project("p", "what for") == Project(2, "p")
    assert client.create_branch(2, "b") == Branch(3, "b", 2)
    assert client.create_stage(3, "s", "def stage(ctx): ...") == Stage(4, "s", "def stage(ctx): ...")
    assert fake.bodies("POST", "/projects") == [{"name": "p", "description": "what for"}]
    assert fake.bodies("POST", "/branches/3/stages") == [{"name": "s", "schema_code": "def stage(ctx): ..."}]


def test_a_branch_with_its_stages(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("GET", "/branches/3/cfg", lambda request: Reply(body={"id": 3, "name": "b", "stages": [STAGE]}))
    assert [stage.name for stage in client.branch(3).stages] == ["s"]


def test_a_stage_that_names_no_group_is_rejected_in_the_servers_words(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("PUT", "/stages/4", lambda request: problem(400, "Cannot find nosuch agents group"))
    with pytest.raises(RequestRejectedError, match="Cannot find nosuch agents group"):
        client.update_stage(4, "s", "def stage(ctx): ...")


def test_a_flow_is_started_with_and_without_arguments(fake: FakeKraken, client: KrakenClient) -> None:
    flow = {"id": 5, "label": "5.", "state": "in-progress", "kind": "ci", "branch_id": 3, "runs": [RUN]}
    fake.on("POST", "/branches/3/flows/ci", lambda request: Reply(201, flow))
    started = client.start_flow(3)
    assert (started.id, started.runs[0].id, started.runs[0].state) == (5, 6, RunState.IN_PROGRESS)
    client.start_flow(3, args={"Common": {"A": "1"}})
    assert fake.bodies("POST", "/branches/3/flows/ci") == [{}, {"args": {"Common": {"A": "1"}}}]


def test_runs_come_as_a_bare_list_with_their_notes(fake: FakeKraken, client: KrakenClient) -> None:
    note = "Triggering run's jobs failed: Multiple rows were found when one or none was required"
    fake.on("GET", "/flows/5/runs", lambda request: Reply(body=[{**RUN, "state": "processed", "note": note}]))
    (run,) = client.flow_runs(5)
    assert (run.state, run.note) == (RunState.PROCESSED, note)


def test_a_run_in_an_unheard_of_state_is_an_unexpected_answer(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("GET", "/runs/6", lambda request: Reply(body={**RUN, "state": "dreaming"}))
    with pytest.raises(UnexpectedAnswerError, match="`state` of a run"):
        client.run(6)


def test_all_jobs_of_a_run_past_the_first_ten(fake: FakeKraken, client: KrakenClient) -> None:
    def ten(start: str) -> list[dict[str, object]]:
        return [{**JOB, "id": n} for n in range(int(start), min(int(start) + 10, 25))]

    fake.on("GET", "/runs/6/jobs", lambda request: Reply(body={"items": ten(request.query["start"]), "total": 25}))
    assert len(client.run_jobs(6)) == 25


def test_a_job_is_read_whole(fake: FakeKraken, client: KrakenClient) -> None:
    fake.on("GET", "/jobs/7", lambda request: Reply(body=JOB))
    job = client.job(7)
    assert (job.succeeded, job.agent_name, job.agents_group_name) == (True, "127.0.0.1", "hosts")
    assert job.started == datetime(2026, 11, 23, 16, 34, 40, tzinfo=UTC)
    assert [(step.name, step.status) for step in job.steps] == [("echo one", StepStatus.DONE)]


def test_a_job_that_nobody_has_taken_has_no_agent(fake: FakeKraken, client: KrakenClient) -> None:
    queued = {**JOB, "state": 2, "completion_status": None, "agent_id": 0, "agent_name": "", "started": None}
    fake.on("GET", "/jobs/7", lambda request: Reply(body=queued))
    job = client.job(7)
    assert (job.over, job.agent_id, job.agent_name, job.completion_status) == (False, None, None, None)


def test_a_log_is_read_to_its_end_in_order(fake: FakeKraken, client: KrakenClient) -> None:
    def lines(start: str) -> list[dict[str, object]]:
        numbers = range(int(start), min(int(start) + 200, 450))
        common = {"time": "Mon, 23 Nov 2026 16:34:41 GMT", "host": "h", "service": "agent", "step": 0}
        return [{**common, "message": f"line {n}"} for n in numbers]

    fake.on("GET", "/jobs/7/logs", lambda request: Reply(body={"items": lines(request.query["start"]), "total": 450}))
    log = client.job_log(7)
    assert [line.message for line in log] == [f"line {n}" for n in range(450)]
    assert (log[0].time, log[0].agent) == (datetime(2026, 11, 23, 16, 34, 41, tzinfo=UTC), "h")


def test_records_without_a_tool_are_read_and_what_is_of_no_step_is_left_out(
    fake: FakeKraken, client: KrakenClient
) -> None:
    rows: list[dict[str, object]] = [
        {"message": "of Kraken's own agent", "service": "agent", "tool": "", "step": 0},
        {"message": "of ours", "service": "agent", "tool": "shell", "step": 1},
        {"message": "the agent about itself", "service": "agent", "tool": "", "step": -1},
        {"message": "the server about the job", "service": "server", "tool": "", "step": 0},
        {"message": "nothing known", "service": "agent", "tool": "", "step": None},
    ]

    def answer(request: Request) -> Reply:
        shown = rows if request.query.get("internals") == "true" else [row for row in rows if row["tool"]]
        return Reply(body={"items": [{"time": None, "host": "h", **row} for row in shown], "total": len(shown)})

    fake.on("GET", "/jobs/7/logs", answer)
    assert [line.message for line in client.job_log(7)] == ["of Kraken's own agent", "of ours"]


def test_the_whole_log_about_an_agent_ends_with_the_newest_line(fake: FakeKraken, client: KrakenClient) -> None:
    rows = [{"time": f"2026-11-23T16:34:4{n}.5", "message": str(n), "agent": 4, "host": "h"} for n in (2, 1)]
    fake.on("GET", "/logs", lambda request: Reply(body={"items": rows, "total": 2}))
    log = client.logs(agent_id=4, limit=2)
    assert [line.message for line in log] == ["1", "2"]
    assert log[0].time == datetime(2026, 11, 23, 16, 34, 41, 500000, tzinfo=UTC)
    assert fake.requests[-1].query == {"agent_id": "4", "order": "desc", "start": "0", "limit": "2"}


def test_runs_and_jobs_are_cancelled(fake: FakeKraken, client: KrakenClient) -> None:
    for path in ("/runs/6", "/jobs/7"):
        fake.on("DELETE", path, lambda request: Reply())
    client.cancel_run(6)
    client.cancel_job(7)
    assert (fake.count("DELETE", "/runs/6"), fake.count("DELETE", "/jobs/7")) == (1, 1)
