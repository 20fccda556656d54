"""Agents groups with all their traps, systems and settings (recorded answers, sections 7, 10, 12, 13, 16, 17, 19)."""

from __future__ import annotations

import pytest
import requests

from ..conftest import Api, HandAgent, job_spec

DEPLOYMENT = {
    "aws": {
        "default_image": "",
        "destruction_after_jobs": 1,
        "destruction_after_time": 30,
        "disk_size": 0,
        "instance_type": "",
        "instances_limit": 5,
        "region": "",
    },
    "aws_ecs_fargate": {"cluster": "", "instances_limit": 5, "region": "", "security_groups": "", "subnets": ""},
    "azure_vm": {
        "default_image": "",
        "destruction_after_jobs": 1,
        "destruction_after_time": 30,
        "instances_limit": 5,
        "location": "",
        "vm_size": "",
    },
    "kubernetes": {"instances_limit": 5},
    "method": 0,
}


def test_a_created_group_looks_as_on_the_real_server(api: Api) -> None:
    answer = api.call("POST", "/api/groups", {"name": "X"})
    data = answer.json()
    assert answer.status_code == 201
    assert data.pop("created")
    assert data == {
        "agents_count": 0,
        "deleted": None,
        "deployment": DEPLOYMENT,
        "id": 2,
        "name": "X",
        "project_id": None,
        "project_name": None,
    }


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"name": "all"}, 400, "Group with name all already exists"),
        ({}, 500, None),
        ({"name": 5}, 400, "5 is not of type 'string' - 'name'"),
        (None, 400, "None is not of type 'object'"),
        ({"name": "Y", "project_id": 99}, 400, "Cannot find project with id 99"),
        ({"name": "Z", "project_id": None}, 400, "None is not of type 'integer' - 'project_id'"),
    ],
)
def test_a_bad_group_is_refused(api: Api, body: object, status: int, detail: str | None) -> None:
    answer = api.call("POST", "/api/groups", body)
    assert answer.status_code == status
    assert answer.json() == {} if detail is None else answer.json()["detail"] == detail


def test_names_may_be_empty_differ_in_case_and_lie_in_a_project(api: Api) -> None:
    assert [api.group(name) for name in ("", "x", "X")] == [2, 3, 4]
    data = api.call("POST", "/api/groups", {"name": "Y", "project_id": 1}).json()
    assert (data["project_id"], data["project_name"]) == (1, "Demo")
    assert [group["name"] for group in api.get("/groups")["items"]] == ["", "X", "Y", "all", "x"]


def test_renaming_to_a_taken_name_is_accepted_and_breaks_creating(api: Api) -> None:
    first, second = api.group("X"), api.group("x")
    assert api.call("PUT", f"/api/groups/{second}", {"name": "X"}).json()["name"] == "X"
    broken = api.call("POST", "/api/groups", {"name": "X"})
    assert (broken.status_code, broken.text) == (500, "{}")
    assert api.call("PUT", f"/api/groups/{first}", {"name": "X1"}).status_code == 200
    assert api.call("PUT", "/api/groups/99999", {"name": "q"}).status_code == 500


def test_a_deleted_group_still_answers_and_stays_with_its_agents(api: Api) -> None:
    group = api.group("X")
    agent = HandAgent(api).enrol(group)
    assert api.get(f"/groups/{group}")["agents_count"] == 1
    for _ in range(2):
        assert api.call("DELETE", f"/api/groups/{group}").json() == {}
    assert api.get(f"/groups/{group}")["deleted"]
    assert {"id": group, "name": "X"} in agent.record["groups"]
    assert api.group("X") != group
    unknown = api.call("DELETE", "/api/groups/99999")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Agents group with id 99999 not found")
    assert api.call("GET", "/api/groups/99999").json()["detail"] == "Cannot find agent group with id 99999"


def test_a_group_deleted_and_made_again_fails_every_run_until_the_old_one_is_renamed(api: Api) -> None:
    old = api.group("again")
    api.call("DELETE", f"/api/groups/{old}")
    new = api.group("again")
    HandAgent(api).enrol(new)
    stage = api.stage([job_spec(group="again")])
    run = api.run(stage)
    assert run["state"] == "processed"
    assert run["note"] == "Triggering run's jobs failed: Multiple rows were found when one or none was required"
    assert api.jobs(run) == []
    api.call("PUT", f"/api/groups/{old}", {"name": "again-deleted"})
    assert len(api.jobs(api.run(stage))) == 1


def test_a_stage_naming_an_unknown_group_is_refused_and_keeps_its_schema(api: Api) -> None:
    stage = api.stage([job_spec()])
    body = {"name": "s", "schema_code": stage["schema_code"].replace("'all'", "'nosuch'")}
    answer = api.call("PUT", f"/api/stages/{stage['id']}", body)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Cannot find nosuch agents group")
    assert api.get(f"/stages/{stage['id']}")["schema_code"] == stage["schema_code"]


def test_a_run_on_a_group_that_was_deleted_ends_without_a_job(api: Api) -> None:
    group = api.group("gone")
    HandAgent(api).enrol(group)
    stage = api.stage([job_spec(group="gone")])
    api.call("DELETE", f"/api/groups/{group}")
    run = api.run(stage)
    assert (run["state"], run["note"]) == (
        "processed",
        "Triggering run's jobs failed: Cannot find gone agents group",
    )


def test_a_run_on_a_group_without_agents_fails_with_advice(api: Api) -> None:
    api.group("empty1")
    run = api.run(api.stage([job_spec(group="empty1")]))
    assert (run["state"], run["note"]) == ("processed", None)
    found = [(job["state"], job["completion_status"], job["notes"]) for job in api.jobs(run)]
    assert found == [(5, 10, "there are no agents in group 'empty1' - add some agents")]


def test_deleting_all_breaks_authorizing_once_it_is_made_again(api: Api) -> None:
    api.call("DELETE", "/api/groups/1")
    agent = HandAgent(api)
    agent.say("get-job")
    assert api.call("PATCH", "/api/agents", [{"id": 1, "authorized": True}]).status_code == 200
    assert agent.record["groups"] == [{"id": 1, "name": "all"}]
    api.group("all")
    for authorized in (True, False):
        answer = api.call("PATCH", "/api/agents", [{"id": 1, "authorized": authorized}])
        assert (answer.status_code, answer.text) == (500, "{}")


def test_systems_start_with_any_and_grow_with_host_info(api: Api) -> None:
    assert api.get("/systems") == {"items": [{"executor": "local", "id": 1, "name": "any"}], "total": 1}
    HandAgent(api).enrol(system="debian-12")
    assert [system["name"] for system in api.get("/systems")["items"]] == ["any", "debian-12"]


def test_settings_show_the_public_part_without_a_token(api: Api) -> None:
    public = dict.fromkeys(("auth0", "github", "google", "ldap", "microsoft"), False)
    expected = {"idp": {f"{name}_enabled": value for name, value in public.items()}}
    for headers in ({}, {"Authorization": "Bearer deadbeef"}):
        answer = requests.get(f"{api.url}/api/settings", headers=headers, timeout=60)
        assert (answer.status_code, answer.json()) == (200, expected)


def test_settings_point_at_the_server_itself_until_they_are_set(api: Api) -> None:
    general = api.get("/settings")["general"]
    assert general == {
        "clickhouse_addr": api.server.log_addr,
        "clickhouse_log_ttl": 6,
        "minio_addr": "",
        "server_url": api.server.url,
    }
    changed = api.call("PUT", "/api/settings", {"general": {"clickhouse_addr": "10.0.0.1:9001", "minio_addr": "m:1"}})
    assert changed.json()["general"]["clickhouse_addr"] == "10.0.0.1:9001"
    agent = HandAgent(api).enrol()
    assert agent.say("get-job")["cfg"] == {"clickhouse_addr": "10.0.0.1:9001"}
    emptied = api.call("PUT", "/api/settings", {"general": {"minio_addr": None}})
    assert emptied.json()["general"]["minio_addr"] == ""


def test_unknown_settings_are_ignored_passwords_hidden_and_wrong_shapes_refused(api: Api) -> None:
    before = api.get("/settings")
    for body in ({"general": {"nope": 1}}, {"nope": {"a": 1}}, {"notification": {"slack_token": "s3cret"}}):
        answer = api.call("PUT", "/api/settings", body)
        assert (answer.status_code, answer.json()) == (200, before)
    wrong = api.call("PUT", "/api/settings", {"general": "x"})
    assert (wrong.status_code, wrong.json()["detail"]) == (400, "'x' is not of type 'object' - 'general'")
    assert api.call("PATCH", "/api/settings", {"general": {}}).status_code == 405
