"""The agents' records: authorizing, listing, grouping, disabling, deleting (recorded answers, sections 3 to 11)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ..conftest import Api, HandAgent


@pytest.fixture
def three(api: Api) -> list[HandAgent]:
    agents = [HandAgent(api, f"127.0.9.{number}") for number in (1, 2, 3)]
    for agent in agents:
        agent.say("get-job2")
    return agents


def authorize(api: Api, *ids: int) -> None:
    assert api.call("PATCH", "/api/agents", [{"id": i, "authorized": True} for i in ids]).json() == {}


def test_an_announced_agent_is_listed_as_unauthorized(api: Api, three: list[HandAgent]) -> None:
    found = api.get("/agents?unauthorized=true&limit=100&sort_field=address")
    assert found["total"] == 3
    first = found["items"][0]
    assert first.pop("created") == first.pop("last_seen")
    assert first == {
        "address": "127.0.9.1",
        "authorized": False,
        "comment": None,
        "deleted": None,
        "disabled": False,
        "extra_attrs": None,
        "groups": [],
        "host_info": None,
        "id": 1,
        "ip_address": "127.0.0.1",
        "job": None,
        "name": "127.0.9.1",
        "state": 0,
        "status_line": None,
        "user_attrs": None,
    }
    assert api.get("/agents") == {"items": [], "total": 0}


def test_authorizing_puts_an_agent_into_all_once(api: Api, three: list[HandAgent]) -> None:
    authorize(api, 1)
    authorize(api, 1)
    assert api.get("/agents/1")["groups"] == [{"id": 1, "name": "all"}]
    assert api.call("PATCH", "/api/agents", [{"id": 1, "authorized": False}]).status_code == 200
    assert api.get("/agents/1")["groups"] == [{"id": 1, "name": "all"}]
    assert api.get("/agents/1")["authorized"] is False


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"id": 2, "authorized": True}, 400, "{'id': 2, 'authorized': True} is not of type 'array'"),
        ([{"id": 99999, "authorized": True}], 400, "Cannot find agent 99999"),
        ([{"id": 2, "authorized": True}, {"id": 99999, "authorized": True}], 400, "Cannot find agent 99999"),
        ([{"authorized": True}], 500, None),
        ([{"id": "2", "authorized": True}], 400, "'2' is not of type 'integer' - '0.id'"),
        ([{"id": 2, "authorized": "yes"}], 400, "'yes' is not of type 'boolean' - '0.authorized'"),
        ([{"id": 2, "authorized": None}], 400, "None is not of type 'boolean' - '0.authorized'"),
        ([{"id": 2, "authorized": True}, {"id": 2, "authorized": True}], 500, None),
        (None, 400, "None is not of type 'array'"),
    ],
)
def test_a_bad_authorization_changes_nothing(
    api: Api, three: list[HandAgent], body: Any, status: int, detail: str | None
) -> None:
    answer = api.call("PATCH", "/api/agents", body)
    assert answer.status_code == status
    assert answer.json() == {} if detail is None else answer.json()["detail"] == detail
    assert api.get("/agents/2")["authorized"] is False
    assert api.get("/agents/2")["groups"] == []


def test_other_fields_of_an_authorization_are_ignored(api: Api, three: list[HandAgent]) -> None:
    body = [{"id": 2, "name": "renamed", "disabled": True, "groups": [{"id": 1}]}]
    assert api.call("PATCH", "/api/agents", body).json() == {}
    record = api.get("/agents/2")
    assert (record["name"], record["disabled"], record["groups"]) == ("127.0.9.2", False, [])
    assert api.call("PATCH", "/api/agents", []).json() == {}


def test_lists_have_pages(api: Api) -> None:
    for number in range(1, 13):
        HandAgent(api, f"127.0.8.{number}").say("get-job")
    authorize(api, *range(1, 13))
    assert len(api.get("/agents")["items"]) == 10
    assert len(api.get("/agents?limit=100000")["items"]) == 12
    assert api.get("/agents?limit=0") == {"items": [], "total": 12}
    assert api.get("/agents?start=50")["items"] == []
    assert api.get("/agents?sort_field=id&sort_dir=desc&limit=1")["items"][0]["id"] == 12
    assert api.get("/agents?sort_field=zzz&sort_dir=desc&limit=1")["items"][0]["address"] == "127.0.8.1"
    for query in ("limit=-1", "start=-1"):
        answer = api.call("GET", f"/api/agents?{query}")
        assert (answer.status_code, answer.text) == (500, "{}")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    wrong = api.call("GET", "/api/agents?limit=x")
    assert wrong.json()["detail"] == "Wrong type, expected 'integer' for query parameter 'limit'"


def test_an_unknown_agent_is_400_to_get_and_404_to_the_rest(api: Api) -> None:
    assert api.call("GET", "/api/agents/99999").json()["detail"] == "Cannot find agent with id 99999"
    assert api.call("GET", "/api/agents/99999").status_code == 400
    assert api.call("GET", "/api/agents/abc").status_code == 404
    for method in ("PUT", "DELETE"):
        answer = api.call(method, "/api/agents/99999", {"groups": []})
        assert (answer.status_code, answer.json()["detail"]) == (404, "Agent not found")


def test_groups_of_an_agent_are_replaced_as_a_whole(api: Api, three: list[HandAgent]) -> None:
    authorize(api, 1)
    group = api.group("X")

    def put(groups: Any) -> Any:
        return api.call("PUT", "/api/agents/1", {"groups": groups})

    assert put([{"id": group}]).json()["groups"] == [{"id": group, "name": "X"}]
    both = [{"id": group, "name": "X"}, {"id": 1, "name": "all"}]
    assert put([{"id": 1}, {"id": group}]).json()["groups"] == both
    assert put([{"id": group}, {"id": group}, {"id": 1, "name": "whatever"}]).json()["groups"] == both
    missing = put([{"id": group}, {"id": 99999}])
    assert (missing.status_code, missing.json()["detail"]) == (404, "Agents Group with id {'id': 99999} not found")
    assert put([2]).json()["detail"] == "2 is not of type 'object' - 'groups.0'"
    assert put([{"name": "X"}]).status_code == 500
    assert put(None).json()["detail"] == "None is not of type 'array' - 'groups'"
    assert api.get("/agents/1")["groups"] == both
    assert put([]).json()["groups"] == []


def test_an_unauthorized_agent_can_be_grouped(api: Api, three: list[HandAgent]) -> None:
    group = api.group("X")
    answer = api.call("PUT", "/api/agents/2", {"groups": [{"id": group}]}).json()
    assert (answer["authorized"], answer["groups"]) == (False, [{"id": group, "name": "X"}])


def test_disabling_keeps_the_groups_and_ignores_other_fields(api: Api, three: list[HandAgent]) -> None:
    authorize(api, 1)
    for body, disabled in (({"disabled": True}, True), ({"name": "n"}, True), ({"disabled": False}, False)):
        record = api.call("PUT", "/api/agents/1", body).json()
        assert (record["disabled"], record["name"], len(record["groups"])) == (disabled, "127.0.9.1", 1)
    assert api.call("PUT", "/api/agents/1", {"authorized": False}).json()["authorized"] is True
    wrong = api.call("PUT", "/api/agents/1", {"disabled": None})
    assert wrong.json()["detail"] == "None is not of type 'boolean' - 'disabled'"
    assert three[0].say("get-job2")["job"] == {}


def test_a_deleted_agent_that_speaks_returns_unauthorized_and_disabled(api: Api, three: list[HandAgent]) -> None:
    authorize(api, 1)
    assert api.call("DELETE", "/api/agents/1").json() == {}
    assert api.call("DELETE", "/api/agents/1").json() == {}
    record = api.get("/agents/1")
    assert record["deleted"]
    assert (record["authorized"], record["disabled"], record["groups"]) == (False, True, [])
    assert api.get("/agents")["total"] == 0
    authorize(api, 1)  # accepted, stays deleted
    assert api.get("/agents/1")["deleted"]
    assert three[0].say("get-job") == {"unauthorized": True}
    record = api.get("/agents/1")
    assert (record["deleted"], record["authorized"], record["disabled"]) == (None, False, True)


def test_last_seen_is_current_although_it_is_written_in_batches(api: Api, three: list[HandAgent]) -> None:
    authorize(api, 1)
    before = three[0].record["last_seen"]
    time.sleep(1.1)
    three[0].say("get-job")
    assert three[0].record["last_seen"] > before
