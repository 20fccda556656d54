"""Agents groups: created, renamed, deleted, and who is in them."""

from __future__ import annotations

import pytest

from kraken_fleet.model import Deployment
from tests.contract.hand_agents import HandAgents
from tests.contract.kraken_server import KrakenServer
from tests.contract.records import ALL, agent_record, group_record, problem, timeless
from tests.unique_names import unique_name

UNKNOWN = 999999999


def _name() -> str:
    return unique_name()


def _listed(server: KrakenServer) -> dict[int, dict[str, object]]:
    return {group["id"]: group for group in server.api("GET", "/groups?start=0&limit=100000").body["items"]}


def test_a_new_group_is_listed_and_can_be_read(server: KrakenServer) -> None:
    name = _name()
    said = server.api("POST", "/groups", {"name": name})
    group_id = said.body["id"]
    assert (said.status, timeless(said.body)) == (201, group_record(group_id, name))
    assert timeless(server.api("GET", f"/groups/{group_id}").body) == group_record(group_id, name)
    assert timeless(_listed(server)[group_id]) == group_record(group_id, name)


def test_the_group_all_is_there_from_the_start_and_counts_its_agents(server: KrakenServer) -> None:
    before = server.api("GET", "/groups/1").body
    server.announce(authorized=True)
    after = server.api("GET", "/groups/1").body
    assert timeless(after) == group_record(1, "all", agents_count=before["agents_count"] + 1)


def test_groups_come_in_pages_of_ten(server: KrakenServer) -> None:
    for _ in range(11):
        server.group()
    page = server.api("GET", "/groups").body
    assert len(page["items"]) == 10
    assert page["total"] == len(_listed(server)) > 10


def test_a_group_of_a_project(server: KrakenServer) -> None:
    name = _name()
    said = server.api("POST", "/groups", {"name": name, "project_id": 1})
    expected = group_record(said.body["id"], name, project_id=1, project_name="Demo")
    assert (said.status, timeless(said.body)) == (201, expected)


def test_names_in_another_case_are_other_groups(server: KrakenServer) -> None:
    name = _name()
    assert server.group(name)[0] != server.group(name.upper())[0]


def test_a_taken_name_is_refused(server: KrakenServer) -> None:
    _, name = server.group()
    said = server.api("POST", "/groups", {"name": name})
    assert (said.status, said.body) == (400, problem(400, f"Group with name {name} already exists"))


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({}, 500, {}),
        ({"name": 5}, 400, problem(400, "5 is not of type 'string' - 'name'")),
        (..., 400, problem(400, "None is not of type 'object'")),
        ({"name": "Y0", "project_id": 99999}, 400, problem(400, "Cannot find project with id 99999")),
        ({"name": "Z", "project_id": None}, 400, problem(400, "None is not of type 'integer' - 'project_id'")),
    ],
)
def test_groups_that_cannot_be_created(server: KrakenServer, body: object, status: int, answer: object) -> None:
    said = server.api("POST", "/groups", body)
    assert (said.status, said.body) == (status, answer)


def test_renaming(server: KrakenServer) -> None:
    group_id, _ = server.group()
    name = _name()
    said = server.api("PUT", f"/groups/{group_id}", {"name": name})
    assert (said.status, timeless(said.body)) == (200, group_record(group_id, name))


def test_renaming_to_a_taken_name_is_accepted_and_breaks_creating_it(server: KrakenServer) -> None:
    _, taken = server.group()
    group_id, own = server.group()
    assert server.api("PUT", f"/groups/{group_id}", {"name": taken}).body["name"] == taken
    said = server.api("POST", "/groups", {"name": taken})
    assert (said.status, said.body) == (500, {})
    assert server.api("PUT", f"/groups/{group_id}", {"name": own}).body["name"] == own


@pytest.mark.parametrize(
    ("method", "body", "status", "answer"),
    [
        ("GET", ..., 400, problem(400, f"Cannot find agent group with id {UNKNOWN}")),
        ("PUT", {"name": "q"}, 500, {}),
        ("DELETE", ..., 404, problem(404, f"Agents group with id {UNKNOWN} not found")),
    ],
    ids=["GET", "PUT", "DELETE"],
)
def test_an_unknown_group(server: KrakenServer, method: str, body: object, status: int, answer: object) -> None:
    said = server.api(method, f"/groups/{UNKNOWN}", body)
    assert (said.status, said.body) == (status, answer)


def test_a_deleted_group_is_off_the_list_but_its_id_answers(server: KrakenServer) -> None:
    group_id, name = server.group()
    for _ in range(2):
        said = server.api("DELETE", f"/groups/{group_id}")
        assert (said.status, said.body) == (200, {})
    assert group_id not in _listed(server)
    assert timeless(server.api("GET", f"/groups/{group_id}").body) == group_record(group_id, name, deleted="<time>")


def test_the_name_of_a_deleted_group_can_be_used_again_for_another_id(server: KrakenServer) -> None:
    group_id, name = server.group()
    server.api("DELETE", f"/groups/{group_id}")
    assert server.group(name)[0] != group_id


def test_assigning_replaces_the_whole_set(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce(authorized=True)
    group_id, name = server.group()
    own = {"id": group_id, "name": name}
    for ids, groups in (([group_id], [own]), ([1, group_id], [ALL, own]), ([], [])):
        said = server.api("PUT", f"/agents/{agent_id}", {"groups": [{"id": each} for each in ids]})
        assert said.status == 200
        record = timeless(said.body)
        assert sorted(record.pop("groups"), key=lambda group: group["id"]) == groups
        assert {**record, "groups": []} == agent_record(agent_id, address, peer, authorized=True)


@pytest.mark.parametrize("times", [1, 2])
def test_a_group_given_twice_counts_once_and_other_keys_are_ignored(server: KrakenServer, times: int) -> None:
    agent_id, _ = server.announce()
    group_id, name = server.group()
    body = {"groups": [{"id": group_id, "name": "whatever"}] * times}
    assert server.api("PUT", f"/agents/{agent_id}", body).body["groups"] == [{"id": group_id, "name": name}]


def test_a_deleted_group_can_be_assigned(server: KrakenServer) -> None:
    agent_id, _ = server.announce(authorized=True)
    group_id, name = server.group()
    server.api("DELETE", f"/groups/{group_id}")
    said = server.api("PUT", f"/agents/{agent_id}", {"groups": [{"id": group_id}]})
    assert (said.status, said.body["groups"]) == (200, [{"id": group_id, "name": name}])


def test_an_agent_goes_on_listing_its_deleted_group(server: KrakenServer) -> None:
    agent_id, _ = server.announce(authorized=True)
    group_id, name = server.group()
    server.api("PUT", f"/agents/{agent_id}", {"groups": [{"id": group_id}]})
    server.api("DELETE", f"/groups/{group_id}")
    assert server.api("GET", f"/agents/{agent_id}").body["groups"] == [{"id": group_id, "name": name}]


@pytest.mark.parametrize(
    ("groups", "status", "answer"),
    [
        ([{"id": 1}, {"id": UNKNOWN}], 404, problem(404, f"Agents Group with id {{'id': {UNKNOWN}}} not found")),
        ([2], 400, problem(400, "2 is not of type 'object' - 'groups.0'")),
        ([{"name": "X"}], 500, {}),
        (None, 400, problem(400, "None is not of type 'array' - 'groups'")),
    ],
)
def test_assignments_that_cannot_be(server: KrakenServer, groups: object, status: int, answer: object) -> None:
    agent_id, _ = server.announce(authorized=True)
    said = server.api("PUT", f"/agents/{agent_id}", {"groups": groups})
    assert (said.status, said.body) == (status, answer)
    assert server.api("GET", f"/agents/{agent_id}").body["groups"] == [ALL]


AWS = {
    "region": "eu-1",
    "instances_limit": 7,
    "default_image": "ami-1",
    "instance_type": "c7i.large",
    "init_script": "echo hello",
    "spot_instance": True,
}
DEPLOYMENTS = {
    "aws": {"method": 2, "aws": AWS},
    "aws_ecs_fargate": {
        "method": 3,
        "aws_ecs_fargate": {
            "region": "eu-1",
            "instances_limit": 2,
            "cluster": "c",
            "subnets": "s-1,s-2",
            "security_groups": "g-1",
        },
    },
    "azure_vm": {"method": 4, "azure_vm": {"location": "west", "vm_size": "large", "of_a_newer_server": [1]}},
    "kubernetes": {"method": 5, "kubernetes": {"instances_limit": 3}},
    "without a method": {"aws": AWS},
    "nothing": {},
}


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_a_deployment_is_kept_whole_and_told_with_what_it_lacks(
    server: KrakenServer, deployment: dict[str, object]
) -> None:
    group_id, name = server.group()
    # A group that is never used: deleted before the server looks for machines of its cloud.
    try:
        said = server.api("PUT", f"/groups/{group_id}", {"deployment": deployment})
        first = group_record(group_id, name)["deployment"]
        expected = {**first, **deployment}
        if "aws" in deployment:
            added = ("destruction_after_jobs", "destruction_after_time", "disk_size")
            expected["aws"] = {**{key: first["aws"][key] for key in added}, **AWS}
        if deployment and "method" not in deployment:
            del expected["method"]
        assert (said.status, said.body["deployment"]) == (200, expected)
        assert server.api("GET", f"/groups/{group_id}").body["deployment"] == expected
        renamed = server.api("PUT", f"/groups/{group_id}", {"name": unique_name()})
        assert renamed.body["deployment"] == expected, "another change leaves it"
    finally:
        server.api("PUT", f"/groups/{group_id}", {"deployment": {"method": 0}})
        server.api("DELETE", f"/groups/{group_id}")


def test_the_client_changes_only_what_it_is_told_of_a_deployment(hand_agents: HandAgents) -> None:
    group_id, _ = hand_agents.server.group()
    path = f"/groups/{group_id}"
    hand_agents.server.api("PUT", path, {"deployment": {"method": 0, "aws": AWS, "kubernetes": {"more": 1}}})
    changed = hand_agents.client.set_deployment(group_id, Deployment.of("kubernetes", {"instances_limit": 3}))
    assert changed.deployment == Deployment.of("kubernetes", {"instances_limit": 3})
    kept = hand_agents.server.api("GET", path).body["deployment"]
    assert (kept["method"], kept["kubernetes"]) == (5, {"more": 1, "instances_limit": 3})
    assert kept["aws"].items() >= AWS.items()
    back = hand_agents.client.set_deployment(group_id, Deployment())
    assert back.deployment == Deployment()
    hand_agents.server.api("DELETE", path)
