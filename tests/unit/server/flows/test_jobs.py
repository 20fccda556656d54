"""A job's life as its agent and the API see it (agent-protocol.md sections 1 to 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..conftest import Api, HandAgent, job_spec, shell


@pytest.fixture
def agent(api: Api) -> HandAgent:
    return HandAgent(api).enrol()


def test_get_job_brings_the_steps_and_get_job2_does_not(api: Api, agent: HandAgent) -> None:
    stage = api.stage([job_spec(shell("echo one"), shell("echo two"))])
    run = api.run(stage)
    first = agent.job()
    assert (first["state"], first["started"], first["duration"]) == (2, None, "")
    assert first["timeout"] in (538, 539, 540)
    assert (first["branch_id"], first["run_id"], first["flow_kind"]) == (stage["branch"], run["id"], 0)
    assert (first["agents_group_name"], first["system"], first["executor"]) == ("all", "any", "local")
    step = dict(first["steps"][1])
    assert step.pop("id")
    assert step == {
        "index": 1,
        "tool": "shell",
        "tool_id": 3,
        "tool_location": "",
        "tool_entry": "",
        "tool_version": "1",
        "job_id": first["id"],
        "status": None,
        "result": None,
        "name": "echo two",
        "cmd": "echo two",
        "when": "True",
    }
    second = agent.say("get-job2")["job"]
    assert "steps" not in second
    assert (second["state"], second["duration"]) == (3, "0s")
    assert second["started"]


def test_the_job_ends_on_the_step_request_that_finds_nothing(api: Api, agent: HandAgent) -> None:
    api.start([job_spec(shell("echo one"))])
    job = agent.job()
    asked = agent.say("get-job-step")["job_step"]
    assert (asked["finish"], asked["secrets"], asked["branch_env"]) == (False, [], {})
    assert agent.say("get-job-step")["job_step"] == asked

    def report(**result: Any) -> Any:
        return agent.say("step-result2", job_id=job["id"], step_idx=0, result=result)

    assert set(report(status="in-progress")) == {"timeout"}
    assert set(report(status="done", duration=1)) == {"timeout"}
    assert api.get(f"/jobs/{job['id']}")["state"] == 3
    assert agent.record["job"]["id"] == job["id"]
    end = agent.say("get-job-step")
    assert (end["job_step"], end["msg"]) == ({"finish": True}, "no steps to execute")
    done = api.get(f"/jobs/{job['id']}")
    assert (done["state"], done["completion_status"], done["steps"][0]["result"]) == (5, 0, {"duration": "1s"})
    assert agent.record["job"] is None
    run = api.get(f"/runs/{job['run_id']}")
    assert (run["state"], run["jobs_total"], run["jobs_error"]) == ("processed", 1, 0)
    assert api.get(f"/flows/{run['flow_id']}")["state"] == "completed"


def test_a_step_that_is_over_is_not_begun_again_by_a_late_report(api: Api, agent: HandAgent) -> None:
    api.start([job_spec(shell("echo one"), shell("echo two"))])
    job = agent.job()
    for status in ("in-progress", "done", "in-progress"):
        agent.say("step-result2", job_id=job["id"], step_idx=0, result={"status": status})
    assert api.get(f"/jobs/{job['id']}")["steps"][0]["status"] == 2
    assert agent.say("get-job-step")["job_step"]["index"] == 1


def test_bad_reports_are_ignored_or_refused_as_on_the_real_server(api: Api, agent: HandAgent) -> None:
    api.start([job_spec(shell("echo one"))])
    job = agent.job()
    done = {"status": "done"}
    assert agent.say("step-result2", job_id=job["id"] + 1000, step_idx=0, result=done) == {}
    assert agent.say("step-result2", job_id=job["id"], step_idx=0, result={"status": "great"}) == {}
    beyond = agent.post("step-result2", job_id=job["id"], step_idx=9, result=done)
    assert (beyond.status_code, beyond.text) == (500, "{}")
    assert api.get(f"/jobs/{job['id']}")["steps"][0]["status"] is None


@pytest.mark.parametrize(
    ("reason", "status"), [("retcode", 2), ("exception", 3), ("job-timeout", 1), ("step-timeout", 6)]
)
def test_an_error_skips_what_follows_and_names_its_kind(api: Api, agent: HandAgent, reason: str, status: int) -> None:
    steps = [shell("a"), shell("b"), shell("c", when="always"), shell("d", when="was_any_error"), shell("e")]
    [job] = api.start([job_spec(*steps)])

    def fail_first(step: dict[str, Any]) -> dict[str, Any]:
        return {"status": "error", "reason": reason} if step["cmd"] == "a" else {"status": "done"}

    assert [step["cmd"] for step in agent.work(fail_first)] == ["a", "c", "d"]
    after = api.get(f"/jobs/{job['id']}")
    assert [step["status"] for step in after["steps"]] == [3, 4, 2, 2, 4]
    assert after["completion_status"] == status
    assert api.get(f"/runs/{job['run_id']}")["jobs_error"] == 1


def test_conditions_when_all_goes_well(api: Api, agent: HandAgent) -> None:
    whens = ("always", "was_no_error", "was_any_error", "never", "prev_ok and is_ci", "not was_any_error", "nonsense")
    [job] = api.start([job_spec(*(shell(when, when=when) for when in whens), shell("last", when="always"))])
    done = [step["cmd"] for step in agent.work()]
    assert done == ["always", "was_no_error", "prev_ok and is_ci", "not was_any_error", "last"]
    assert [step["status"] for step in api.get(f"/jobs/{job['id']}")["steps"]] == [2, 2, 4, 4, 2, 2, 3, 2]


def test_a_cancelled_job_is_told_at_keep_alive_and_the_agent_is_free(api: Api, agent: HandAgent) -> None:
    [job] = api.start([job_spec()])
    agent.job()
    agent.say("get-job-step")
    assert agent.say("keep-alive", job_id=job["id"]) == {}
    assert api.call("DELETE", f"/api/jobs/{job['id']}").json() == {}
    assert agent.say("keep-alive", job_id=job["id"]) == {"cancel": True}
    assert agent.say("keep-alive", job_id=job["id"]) == {}
    after = api.get(f"/jobs/{job['id']}")
    assert (after["state"], after["completion_status"], after["notes"]) == (5, 8, "canceled by user")
    assert agent.record["job"] is None


def test_a_cancelled_job_is_told_at_every_other_message_too(api: Api, agent: HandAgent) -> None:
    cases: tuple[tuple[str, dict[str, Any], Callable[[dict[str, Any]], bool]], ...] = (
        ("get-job", {}, lambda answer: answer["job"] == {}),
        ("get-job-step", {}, lambda answer: answer["msg"] == "job already completed"),
        ("step-result2", {"step_idx": 0, "result": {"status": "done"}}, lambda answer: answer == {"cancel": True}),
        ("dispatch-tests", {"step_idx": 0, "tests": ["t"]}, lambda answer: answer == {"cancel": True}),
    )
    for msg, more, heard in cases:
        [job] = api.start([job_spec()])
        assert agent.job()["id"] == job["id"]
        api.call("DELETE", f"/api/runs/{job['run_id']}")
        assert heard(agent.say(msg, job_id=job["id"], **more)), msg
        assert api.get(f"/runs/{job['run_id']}")["note"] == f"run {job['run_id']} canceled by user"


def test_tests_are_dispatched_once_each_and_their_results_counted(api: Api, agent: HandAgent) -> None:
    [job] = api.start([job_spec({"tool": "rndtest", "count": 4})])
    agent.job()

    def dispatch(*tests: str) -> Any:
        return agent.say("dispatch-tests", job_id=job["id"], step_idx=0, tests=list(tests))

    assert dispatch("t.one", "t.one") == {}
    assert dispatch("t.one", "t.two", "t.three") == {"tests": ["t.one", "t.two", "t.three"]}
    assert agent.job()["steps"][-1]["tests"] == ["t.one", "t.two", "t.three"]
    results = [
        {"test": "t.one", "cmd": "x", "status": 1, "values": {"v": {"value": 1.5, "iterations": 1}}},
        {"test": "t.two", "cmd": "y", "status": 2, "msg": "bad"},
    ]
    result = {"status": "in-progress", "test-results": results}
    assert "timeout" in agent.say("step-result2", job_id=job["id"], step_idx=0, result=result)
    run = api.get(f"/runs/{job['run_id']}")
    assert (run["tests_total"], run["tests_passed"], run["tests_not_run"]) == (3, 1, 1)


def test_autosplit_gives_half_of_the_tests_to_another_job(api: Api, agent: HandAgent) -> None:
    [job] = api.start([job_spec({"tool": "rndtest", "autosplit": True})])
    agent.job()
    answer = agent.say("dispatch-tests", job_id=job["id"], step_idx=0, tests=["a", "b", "c"])
    assert answer == {"tests": ["a"]}
    other = api.jobs({"id": job["run_id"]})[1]
    assert (other["state"], other["timeout"]) == (2, 360)
    agent.work()
    assert agent.job()["steps"][0]["tests"] == ["b", "c"]


def test_secrets_reach_the_agent_and_nobody_else(api: Api, agent: HandAgent) -> None:
    stage = api.stage([job_spec(shell("login #{secrets.token} #{KK_SECRET_SIMPLE_token} #{args.WHO} #{branch_name}"))])
    path = f"/api/projects/{stage['project']}/secrets"
    shown = api.call("POST", path, {"name": "token", "kind": "simple", "secret": "hush\nhush"}).json()
    assert shown["secret"] == "******"
    api.call("POST", f"/api/branches/{stage['branch']}/env_vars", {"name": "PLACE", "value": "here"})
    flow = api.call("POST", f"/api/branches/{stage['branch']}/flows/ci", {"args": {"Common": {"WHO": "me"}}}).json()
    [job] = api.jobs(flow["runs"][0])
    assert job["steps"][0]["cmd"] == "login ****** ****** me main"
    assert agent.job()["secrets"] == ["hush\\nhush"]
    step = agent.say("get-job-step")["job_step"]
    assert step["cmd"] == "login hush\nhush hush\nhush me main"
    assert step["branch_env"] == {"PLACE": "here"}
    assert "hush" not in str(api.get(f"/jobs/{job['id']}")) + str(agent.record)


def test_tools_get_what_they_need(api: Api, agent: HandAgent) -> None:
    api.call("PUT", "/api/settings", {"general": {"minio_addr": "10.0.0.9:9999"}})
    steps: list[dict[str, Any]] = [
        {"tool": "git", "checkout": "git@github.com:Kraken-CI/kraken.git"},
        {"tool": "artifacts", "source": "a.txt"},
        {"tool": "cache", "action": "save", "key": "k", "paths": ["p"]},
    ]
    stage = api.stage([job_spec(*steps)])
    api.run(stage)
    agent.job()
    git, artifacts, cache = agent.work()
    bucket = f"{stage['branch']:08d}"
    assert git["http_url"] == "https://github.com/Kraken-CI/kraken.git"
    assert (git["minio_bucket"], git["name"]) == (f"{bucket}-git", "checkout: git@github.com:Kraken-CI/kraken.git")
    assert (artifacts["minio_bucket"], artifacts["destination"]) == (bucket, ".")
    assert artifacts["minio_addr"] == "10.0.0.9:9999"
    assert cache["minio_folder"] == {"k": f"{stage['id']}-j/k"}


def test_an_unknown_tool_fails_the_job_with_its_name(api: Api, agent: HandAgent) -> None:
    [job] = api.start([job_spec({"tool": "teleport"})])
    found = (job["state"], job["completion_status"], job["notes"])
    assert found == (5, 4, "cannot find tool 'teleport' in database")


def test_a_following_stage_starts_when_its_parent_went_well(api: Api, agent: HandAgent) -> None:
    stage = api.stage([job_spec()])
    code = f"def stage(ctx):\n    return { ({'parent': 's', 'jobs': [job_spec(name='after')]})!r}\n"
    api.call("POST", f"/api/branches/{stage['branch']}/stages", {"name": "next", "schema_code": code})
    run = api.run(stage)
    agent.work()
    names = [found["stage_name"] for found in api.get(f"/flows/{run['flow_id']}/runs")]
    assert names == ["s", "next"]
    assert agent.job()["name"] == "after"
    agent.work(lambda _step: {"status": "error", "reason": "retcode"})
    assert api.get(f"/flows/{run['flow_id']}")["state"] == "completed"


def test_a_job_and_a_run_can_be_done_again(api: Api, agent: HandAgent) -> None:
    [job] = api.start([job_spec()])
    agent.work()
    again = api.call("PUT", f"/api/jobs/{job['id']}").json()
    assert again["id"] != job["id"]
    assert agent.job()["id"] == again["id"]
    agent.work()
    api.call("PUT", f"/api/runs/{job['run_id']}")
    agent.work()
    run = {"id": job["run_id"]}
    assert len(api.jobs(run)) == 1
    assert len(api.get(f"/runs/{job['run_id']}/jobs?include_covered=true")["items"]) == 3
    assert [item["id"] for item in api.get(f"/agents/{agent.id}/jobs")["items"]][-1] == job["id"]


def test_the_data_tool_stores_what_later_steps_see(api: Api, agent: HandAgent) -> None:
    api.start([job_spec({"tool": "data", "json_pointer": "/build/number"}, shell("use #{flow.data.build.number}"))])
    agent.job()
    seen = agent.work(lambda step: {"status": "done", **({"data": "42"} if step["tool"] == "data" else {})})
    assert seen[1]["cmd"] == "use 42"


@pytest.mark.parametrize(
    "data", ["NaN", "[1e999]", "18446744073709551616", '"\\ud800"', "[" * 100 + "]" * 100, "{", {"no": "text"}]
)
def test_data_that_cannot_be_kept_is_left_out(api: Api, agent: HandAgent, data: object) -> None:
    steps = [{"tool": "data"}, {"tool": "data", "value": "7", "json_pointer": "/kept"}, shell("use #{flow.data}")]
    api.start([job_spec(*steps)])
    agent.job()
    seen = agent.work(lambda step: {"status": "done", **({"data": data} if step["tool"] == "data" else {})})
    assert seen[2]["cmd"] == "use {'kept': 7}"
