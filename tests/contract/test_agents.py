"""Agents: discovered, listed, authorized, disabled, deleted."""

from __future__ import annotations

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import ALL, agent_record, problem, timeless

UNKNOWN = 999999999


def _get(server: KrakenServer, agent_id: int) -> dict[str, object]:
    return dict(timeless(server.api("GET", f"/agents/{agent_id}").body))


def test_an_agent_exists_after_it_has_spoken(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce()
    assert timeless(server.find(address)) == agent_record(agent_id, address, peer)
    assert _get(server, agent_id) == agent_record(agent_id, address, peer)


def test_authorizing_puts_an_agent_into_all_and_once_only(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce()
    for _ in range(2):
        said = server.api("PATCH", "/agents", [{"id": agent_id, "authorized": True}])
        assert (said.status, said.body) == (200, {})
        assert _get(server, agent_id) == agent_record(agent_id, address, peer, authorized=True, groups=[ALL])


def test_several_are_authorized_at_once(server: KrakenServer) -> None:
    ids = [server.announce()[0] for _ in range(3)]
    assert server.api("PATCH", "/agents", [{"id": each, "authorized": True} for each in ids]).status == 200
    assert all(_get(server, each)["authorized"] for each in ids)


def test_taking_the_authorization_away_leaves_the_groups(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce(authorized=True)
    assert server.api("PATCH", "/agents", [{"id": agent_id, "authorized": False}]).body == {}
    assert _get(server, agent_id) == agent_record(agent_id, address, peer, groups=[ALL])


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"id": 2, "authorized": True}, 400, problem(400, "{'id': 2, 'authorized': True} is not of type 'array'")),
        ([{"id": UNKNOWN, "authorized": True}], 400, problem(400, f"Cannot find agent {UNKNOWN}")),
        ([{"authorized": True}], 500, {}),
        ([{"id": "2", "authorized": True}], 400, problem(400, "'2' is not of type 'integer' - '0.id'")),
        ([{"id": 2, "authorized": "yes"}], 400, problem(400, "'yes' is not of type 'boolean' - '0.authorized'")),
        ([{"id": 2, "authorized": None}], 400, problem(400, "None is not of type 'boolean' - '0.authorized'")),
        ([], 200, {}),
        (..., 400, problem(400, "None is not of type 'array'")),
    ],
)
def test_what_a_patch_may_not_contain(server: KrakenServer, body: object, status: int, answer: object) -> None:
    said = server.api("PATCH", "/agents", body)
    assert (said.status, said.body) == (status, answer)


def test_one_unknown_id_and_nothing_is_changed(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce()
    changes = [{"id": agent_id, "authorized": True}, {"id": UNKNOWN, "authorized": True}]
    assert server.api("PATCH", "/agents", changes).status == 400
    assert _get(server, agent_id) == agent_record(agent_id, address, peer)


def test_an_id_twice_breaks_the_server_and_nothing_is_changed(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce()
    said = server.api("PATCH", "/agents", [{"id": agent_id, "authorized": True}] * 2)
    assert (said.status, said.body) == (500, {})
    assert _get(server, agent_id) == agent_record(agent_id, address, peer)


def test_a_patch_ignores_other_fields(server: KrakenServer, peer: str) -> None:
    agent_id, address = server.announce()
    change = {"id": agent_id, "name": "renamed", "disabled": True, "groups": [{"id": 1}]}
    assert server.api("PATCH", "/agents", [change]).body == {}
    assert _get(server, agent_id) == agent_record(agent_id, address, peer)


def test_pages_of_agents(server: KrakenServer) -> None:
    for _ in range(11):
        server.announce(authorized=True)
    first = server.api("GET", "/agents").body
    assert len(first["items"]) == 10
    assert first["total"] > 10
    assert server.api("GET", "/agents?unauthorized=false").body["total"] == first["total"]
    everything = server.api("GET", "/agents?limit=100000").body
    assert len(everything["items"]) == everything["total"] == first["total"]
    second = server.api("GET", "/agents?start=10&limit=1").body
    assert second["items"] == everything["items"][10:11]


@pytest.mark.parametrize("query", ["limit=0", "start=1000000"])
def test_empty_pages_still_count(server: KrakenServer, query: str) -> None:
    server.announce(authorized=True)
    said = server.api("GET", f"/agents?{query}")
    assert (said.status, said.body["items"]) == (200, [])
    assert said.body["total"] >= 1


@pytest.mark.parametrize(
    ("query", "status", "answer"),
    [
        ("limit=-1", 500, {}),
        ("start=-1", 500, {}),
        ("limit=x", 400, problem(400, "Wrong type, expected 'integer' for query parameter 'limit'")),
    ],
)
def test_pages_that_cannot_be(server: KrakenServer, query: str, status: int, answer: object) -> None:
    said = server.api("GET", f"/agents?{query}")
    assert (said.status, said.body) == (status, answer)


@pytest.mark.parametrize("query", ["sort_field=zzz&sort_dir=desc", "color=red"])
def test_what_is_unknown_in_a_query_is_ignored(server: KrakenServer, query: str) -> None:
    server.announce(authorized=True)
    said = server.api("GET", f"/agents?limit=1&{query}")
    assert (said.status, len(said.body["items"])) == (200, 1)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("field", ["name", "address", "last_seen", "id"])
def test_agents_are_sorted_as_asked(server: KrakenServer, field: str, direction: str) -> None:
    for _ in range(3):
        server.announce(authorized=True)
    listed = server.api("GET", f"/agents?limit=100000&sort_field={field}&sort_dir={direction}").body["items"]
    values = [agent[field] for agent in listed]
    assert values == sorted(values, reverse=direction == "desc")


def test_getting_an_unknown_agent(server: KrakenServer) -> None:
    said = server.api("GET", f"/agents/{UNKNOWN}")
    assert (said.status, said.body) == (400, problem(400, f"Cannot find agent with id {UNKNOWN}"))


@pytest.mark.parametrize("disabled", [True, False])
def test_disabling_and_enabling_keeps_the_groups_and_can_be_repeated(
    server: KrakenServer, peer: str, *, disabled: bool
) -> None:
    agent_id, address = server.announce(authorized=True)
    expected = agent_record(agent_id, address, peer, authorized=True, groups=[ALL], disabled=disabled)
    for _ in range(2):
        said = server.api("PUT", f"/agents/{agent_id}", {"disabled": disabled})
        assert (said.status, timeless(said.body)) == (200, expected)


def test_a_disabled_agent_hears_a_normal_answer(server: KrakenServer) -> None:
    agent_id, address = server.announce(authorized=True)
    server.api("PUT", f"/agents/{agent_id}", {"disabled": True})
    assert server.agent(address, "get-job2").body["job"] == {}


@pytest.mark.parametrize("ignored", [{"authorized": False}, {"name": "n"}, {}])
def test_a_put_ignores_authorized_and_name(server: KrakenServer, peer: str, ignored: dict[str, object]) -> None:
    agent_id, address = server.announce(authorized=True)
    said = server.api("PUT", f"/agents/{agent_id}", ignored)
    assert said.status == 200
    assert timeless(said.body) == agent_record(agent_id, address, peer, authorized=True, groups=[ALL])


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ({"disabled": None}, 400, problem(400, "None is not of type 'boolean' - 'disabled'")),
        (..., 400, problem(400, "None is not of type 'object'")),
    ],
)
def test_what_a_put_may_not_contain(server: KrakenServer, body: object, status: int, answer: object) -> None:
    agent_id, _ = server.announce()
    said = server.api("PUT", f"/agents/{agent_id}", body)
    assert (said.status, said.body) == (status, answer)


@pytest.mark.parametrize(("method", "body"), [("PUT", {"groups": []}), ("DELETE", ...)], ids=["PUT", "DELETE"])
def test_changing_an_unknown_agent(server: KrakenServer, method: str, body: object) -> None:
    said = server.api(method, f"/agents/{UNKNOWN}", body)
    assert (said.status, said.body) == (404, problem(404, "Agent not found"))


def test_jobs_of_an_agent_that_ran_none_or_does_not_exist(server: KrakenServer) -> None:
    agent_id, _ = server.announce()
    for each in (agent_id, UNKNOWN):
        said = server.api("GET", f"/agents/{each}/jobs")
        assert (said.status, said.body) == (200, {"items": [], "total": 0})
