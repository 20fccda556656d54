"""A job from the poll that brings it to its completion, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import timeless
from tests.contract.workflow import Workflow
from tests.waiting import eventually

ECHO = {"tool": "shell", "cmd": "echo one"}
COMPLETED = 5


@pytest.fixture
def workflow(server: KrakenServer) -> Workflow:
    """Everything of the test's own."""
    return Workflow.made(server)


def _without_ids(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in timeless(record).items() if name not in ("id", "tool_id", "job_id")}


def _step(**differing: object) -> dict[str, object]:
    return {
        "index": 0,
        "tool": "shell",
        "tool_location": "",
        "tool_entry": "",
        "tool_version": "1",
        "status": None,
        "result": None,
        "name": "echo one",
        "cmd": "echo one",
        "when": "True",
        **differing,
    }


def _job(workflow: Workflow, run_id: int, flow_id: int, **differing: object) -> dict[str, object]:
    return {
        "created": "<time>",
        "deleted": None,
        "started": None,
        "finished": None,
        "completed": None,
        "duration": "",
        "name": "j",
        "state": 2,
        "completion_status": None,
        "covered": False,
        "notes": None,
        "system_id": 1,
        "system": "any",
        "executor": "local",
        "run_id": run_id,
        "agents_group_id": workflow.group_id,
        "agents_group_name": workflow.group,
        "agent_id": workflow.agent_id,
        "agent_name": workflow.address,
        "branch_id": workflow.branch["id"],
        "flow_kind": 0,
        "flow_id": flow_id,
        "secrets": [],
        **differing,
    }


def _flow_of(server: KrakenServer, run_id: int) -> int:
    return int(server.api("GET", f"/runs/{run_id}").body["flow_id"])


@pytest.mark.parametrize("msg", ["get-job", "get-job2"])
def test_a_job_comes_to_the_agent_of_its_group_and_again_while_it_runs(
    server: KrakenServer, workflow: Workflow, msg: str
) -> None:
    run_id = workflow.run([ECHO])
    flow_id = _flow_of(server, run_id)
    first = workflow.take_job(msg)
    assert 0 < first.pop("timeout") <= 540
    steps = {"steps": [_without_ids(each) for each in first.pop("steps")]} if msg == "get-job" else {}
    assert _without_ids(first) == _job(workflow, run_id, flow_id)
    assert steps == ({"steps": [_step()]} if msg == "get-job" else {})
    again = workflow.tell("get-job2")["job"]
    assert (again["id"], again["state"], again["started"] is not None) == (first["id"], 3, True)


def test_a_step_comes_until_it_is_reported_and_the_last_question_ends_the_job(
    server: KrakenServer, workflow: Workflow
) -> None:
    run_id = workflow.run([ECHO, {"tool": "shell", "cmd": "echo two"}])
    job = workflow.take_job()
    about = {"branch_id": workflow.branch["id"], "flow_kind": 0, "flow_id": _flow_of(server, run_id), "run_id": run_id}
    expected = {**_step(), "finish": False, **about, "secrets": [], "branch_env": {}}
    for _ in range(2):
        assert _without_ids(workflow.tell("get-job-step")["job_step"]) == expected
    assert 0 < workflow.report(job, 0, status="in-progress")["timeout"] <= 540
    assert set(workflow.report(job, 0, status="done", duration=1)) == {"timeout"}
    second = workflow.tell("get-job-step")["job_step"]
    assert (second["index"], second["cmd"]) == (1, "echo two")
    workflow.report(job, 1, status="done", duration=1)
    assert workflow.job(job["id"])["state"] == 3
    end = workflow.tell("get-job-step")
    assert (end["job_step"], end["msg"]) == ({"finish": True}, "no steps to execute")
    done = eventually(lambda: workflow.job(job["id"]), lambda found: found["state"] == COMPLETED)
    assert (done["state"], done["completion_status"]) == (COMPLETED, 0)
    assert [step["status"] for step in done["steps"]] == [2, 2]
    assert [step["result"] for step in done["steps"]] == [{"duration": "1s"}] * 2
    assert workflow.tell("get-job2")["job"] == {}


def test_reports_for_another_job_or_with_an_unknown_status_are_ignored(workflow: Workflow) -> None:
    workflow.run([ECHO])
    job = workflow.take_job()
    assert workflow.report({"id": job["id"] + 1000}, 0, status="done") == {}
    assert workflow.report(job, 0, status="great") == {}
    assert workflow.tell("get-job-step")["job_step"]["index"] == 0


def test_a_report_for_a_step_that_does_not_exist_breaks_the_server(server: KrakenServer, workflow: Workflow) -> None:
    workflow.run([ECHO])
    job = workflow.take_job()
    said = server.agent(workflow.address, "step-result2", job_id=job["id"], step_idx=9, result={"status": "done"})
    assert (said.status, said.body) == (500, {})


def test_after_an_error_later_steps_are_left_out(workflow: Workflow) -> None:
    workflow.run([{"tool": "shell", "cmd": "exit 3"}, ECHO])
    job = workflow.take_job()
    workflow.tell("get-job-step")
    failure = {"status": "error", "reason": "retcode", "retcode": 3, "msg": "cmd exited with non-zero retcode: 3"}
    assert set(workflow.report(job, 0, **failure, duration=1)) == {"timeout"}
    assert workflow.tell("get-job2")["job"]["id"] == job["id"]
    assert workflow.tell("get-job-step")["job_step"] == {"finish": True}
    done = eventually(lambda: workflow.job(job["id"]), lambda found: found["state"] == COMPLETED)
    assert done["state"] == COMPLETED
    assert done["completion_status"] not in (None, 0)
    assert done["steps"][0]["result"]["reason"] == "retcode"


def test_tests_are_dispatched_once_and_their_results_taken(workflow: Workflow) -> None:
    workflow.run([{"tool": "rndtest", "count": 4}])
    job = workflow.take_job()
    step = workflow.tell("get-job-step")["job_step"]
    assert (step["tool"], step["name"], step["count"]) == ("rndtest", "rndtest", 4)
    ask = {"job_id": job["id"], "step_idx": 0}
    assert workflow.tell("dispatch-tests", **ask, tests=["t.one", "t.two"]) == {"tests": ["t.one", "t.two"]}
    assert workflow.tell("dispatch-tests", **ask, tests=["t.one", "t.one"]) == {}
    values = {"v": {"value": 1.5, "iterations": 1}}
    results = [
        {"test": "t.one", "cmd": "x", "status": 1},
        {"test": "t.two", "cmd": "y", "status": 2, "msg": "bad", "values": values},
    ]
    assert set(workflow.report(job, 0, status="in-progress", **{"test-results": results})) == {"timeout"}
    assert set(workflow.report(job, 0, status="done", duration=1)) == {"timeout"}


def test_keep_alive_of_a_running_job_and_of_one_that_was_deleted(server: KrakenServer, workflow: Workflow) -> None:
    workflow.run([ECHO])
    job = workflow.take_job()
    assert workflow.tell("keep-alive", job_id=job["id"]) == {}
    assert server.api("DELETE", f"/jobs/{job['id']}").status == 200
    answer = eventually(lambda: workflow.tell("keep-alive", job_id=job["id"]), bool)
    assert answer == {"cancel": True}
    assert workflow.tell("keep-alive", job_id=job["id"]) == {}
    assert workflow.tell("get-job2")["job"] == {}


def test_a_job_goes_past_a_disabled_agent_to_another_of_the_group(server: KrakenServer, workflow: Workflow) -> None:
    other_id, other = server.announce(authorized=True)
    server.api("PUT", f"/agents/{other_id}", {"groups": [{"id": workflow.group_id}]})
    server.api("PUT", f"/agents/{workflow.agent_id}", {"disabled": True})
    workflow.run([ECHO])
    taken = eventually(lambda: server.agent(other, "get-job2").body["job"], bool)
    assert taken["agent_id"] == other_id
    assert workflow.tell("get-job2")["job"] == {}


def test_a_group_whose_agents_are_all_disabled_counts_as_empty(server: KrakenServer, workflow: Workflow) -> None:
    server.api("PUT", f"/agents/{workflow.agent_id}", {"disabled": True})
    run_id = workflow.run([ECHO])
    jobs = eventually(lambda: server.api("GET", f"/runs/{run_id}/jobs").body["items"], bool)
    assert [(job["state"], job["completion_status"]) for job in jobs] == [(COMPLETED, 10)]
    assert jobs[0]["notes"] == f"there are no agents in group '{workflow.group}' - add some agents"


def test_the_agent_shows_the_job_it_runs_and_the_jobs_it_ran(server: KrakenServer, workflow: Workflow) -> None:
    workflow.run([ECHO])
    job = workflow.take_job()
    assert server.api("GET", f"/agents/{workflow.agent_id}").body["job"]["id"] == job["id"]
    listed = server.api("GET", f"/agents/{workflow.agent_id}/jobs").body
    assert [(each["id"], each["name"]) for each in listed["items"]] == [(job["id"], "j")]
    assert listed["total"] == 1
