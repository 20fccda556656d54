"""What agents without a job send, and what they are answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.contract.records import WRONG_METHOD, problem
from tests.host_info import DEBIAN


@pytest.fixture
def told(server: KrakenServer) -> dict[str, Any]:
    """What comes with most answers to an authorized agent."""
    _, address = server.announce(authorized=True)
    answer = server.agent(address, "get-job2").body
    assert set(answer) == {"job", "cfg", "version"}
    assert set(answer["cfg"]) == {"clickhouse_addr"}
    assert answer["version"] == "1.7.36"
    return {"cfg": answer["cfg"], "version": answer["version"]}


@pytest.mark.parametrize("prefix", ["", "/bk"])
@pytest.mark.parametrize("msg", ["host-info", "get-job", "get-job2"])
def test_an_unauthorized_agent_only_hears_that_it_is(server: KrakenServer, prefix: str, msg: str) -> None:
    _, address = server.announce()
    said = server.agent(address, msg, prefix=prefix, **({"info": DEBIAN} if msg == "host-info" else {}))
    assert (said.status, said.body) == (200, {"unauthorized": True})
    assert said.content_type == "text/html; charset=utf-8"


def test_without_an_address_the_server_takes_where_it_comes_from(server: KrakenServer, peer: str) -> None:
    assert server.agent(None, "get-job2").status == 200
    listed = [
        agent
        for query in ("", "&unauthorized=true")
        for agent in server.api("GET", f"/agents?limit=100000{query}").body["items"]
    ]
    assert [agent["address"] for agent in listed if agent["address"] == peer] == [peer]


def test_host_info_before_authorization_is_not_kept(server: KrakenServer) -> None:
    agent_id, address = server.announce()
    server.agent(address, "host-info", info=DEBIAN)
    assert server.api("GET", f"/agents/{agent_id}").body["host_info"] is None


def test_host_info_after_authorization_is_kept_and_its_system_listed(
    server: KrakenServer, told: dict[str, Any]
) -> None:
    agent_id, address = server.announce(authorized=True)
    said = server.agent(address, "host-info", info=DEBIAN)
    assert (said.status, said.body) == (200, {"agent_id": agent_id, **told})
    assert server.api("GET", f"/agents/{agent_id}").body["host_info"] == DEBIAN
    names = [system["name"] for system in server.api("GET", "/systems").body["items"]]
    assert names.count("debian-12") == 1


@pytest.mark.parametrize("system", ["1", "987"])
def test_host_info_may_name_a_system_by_id_and_unknown_ids_are_names(
    server: KrakenServer, told: dict[str, Any], system: str
) -> None:
    agent_id, address = server.announce(authorized=True)
    said = server.agent(address, "host-info", info={"system": system})
    assert (said.status, said.body) == (200, {"agent_id": agent_id, **told})


def test_host_info_with_an_empty_system(server: KrakenServer, told: dict[str, Any]) -> None:
    _, address = server.announce(authorized=True)
    said = server.agent(address, "host-info", info={"system": ""})
    assert (said.status, said.body) == (200, {"error": "empty system in host info", **told})


@pytest.mark.parametrize("msg", ["get-job", "get-job2"])
def test_nothing_to_do(server: KrakenServer, told: dict[str, Any], msg: str) -> None:
    _, address = server.announce(authorized=True)
    said = server.agent(address, msg)
    assert (said.status, said.body) == (200, {"job": {}, **told})


def test_the_next_step_of_no_job(server: KrakenServer, told: dict[str, Any]) -> None:
    _, address = server.announce(authorized=True)
    said = server.agent(address, "get-job-step")
    assert said.status == 200
    assert said.body == {"job_step": {"finish": True}, "msg": "job not assigned to agent", **told}


@pytest.mark.parametrize(
    ("msg", "fields"),
    [
        ("step-result2", {"job_id": 1, "step_idx": 0, "result": {"status": "done"}}),
        ("step-result2", {"job_id": 1, "step_idx": 0}),
        ("dispatch-tests", {"job_id": 1, "step_idx": 0, "tests": ["a"]}),
        ("keep-alive", {"job_id": None}),
        ("hello", {}),
    ],
    ids=["step-result2", "step-result2 without a result", "dispatch-tests", "keep-alive", "hello"],
)
def test_reports_without_a_job_and_unknown_messages_are_ignored(
    server: KrakenServer, msg: str, fields: dict[str, Any]
) -> None:
    _, address = server.announce(authorized=True)
    said = server.agent(address, msg, **fields)
    assert (said.status, said.body) == (200, {})


def test_messages_that_break_the_server(server: KrakenServer) -> None:
    _, address = server.announce(authorized=True)
    for message in (
        {"msg": "get-job2"},
        {"address": address},
        {"address": address, "msg": "host-info"},
    ):
        said = server.message(message)
        assert (said.status, said.body, said.content_type) == (500, {}, "text/html; charset=utf-8")


def test_what_is_not_json(server: KrakenServer) -> None:
    said = server.api("POST", "/backend", prefix="", token=None, data="x", headers={"Content-Type": "application/json"})
    detail = "The browser (or proxy) sent a request that this server could not understand."
    assert (said.status, said.body) == (400, problem(400, detail))


@pytest.mark.parametrize("prefix", ["", "/bk"])
def test_the_endpoint_takes_posts_only(server: KrakenServer, prefix: str) -> None:
    said = server.api("GET", "/backend", prefix=prefix, token=None)
    assert (said.status, said.body) == (405, problem(405, WRONG_METHOD))
