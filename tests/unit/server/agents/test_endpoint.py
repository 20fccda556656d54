"""What agents are answered at /backend (recorded messages; rest.md section 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from kraken_fleet.server.testing import RunningServer
from tests.host_info import DEBIAN

from ..conftest import Api, HandAgent

JSON = {"Content-Type": "application/json"}


def post(server: RunningServer, body: Any, path: str = "/backend") -> requests.Response:
    return requests.post(f"{server.url}{path}", data=json.dumps(body), headers=JSON, timeout=60)


def test_unknown_agents_are_unauthorized_at_both_paths(server: RunningServer) -> None:
    for path, address in (("/backend", "127.0.9.1"), ("/bk/backend", "127.0.9.1"), ("/bk/backend", None)):
        for msg in ("host-info", "get-job", "get-job2", "keep-alive"):
            answer = post(server, {"address": address, "msg": msg, "info": DEBIAN}, path)
            assert (answer.status_code, answer.json()) == (200, {"unauthorized": True})
            assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_an_address_left_out_on_purpose_is_the_peer_address(api: Api) -> None:
    post(api.server, {"address": None, "msg": "get-job"})
    assert api.get("/agents?unauthorized=true")["items"][0]["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    "body",
    [
        {"msg": "get-job2"},
        {"address": "127.0.9.1"},
        {"address": 5, "msg": "get-job"},
        {"address": "x" * 300, "msg": "get-job"},
        [],
        None,
        "text",
    ],
)
def test_a_message_that_lacks_something_is_a_500(server: RunningServer, body: Any) -> None:
    answer = post(server, body)
    assert (answer.status_code, answer.text) == (500, "{}")


def test_what_is_not_json_is_a_400_and_get_is_a_405(server: RunningServer) -> None:
    answer = requests.post(f"{server.url}/backend", data="x", headers=JSON, timeout=60)
    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")
    assert answer.json()["detail"].startswith("The browser (or proxy) sent a request")
    assert requests.get(f"{server.url}/backend", timeout=60).status_code == 405


def test_host_info_is_stored_only_after_authorization(api: Api) -> None:
    agent = HandAgent(api)
    agent.say("host-info", info=DEBIAN)
    assert agent.record["host_info"] is None
    api.call("PATCH", "/api/agents", [{"id": 1, "authorized": True}])
    cfg = {"cfg": {"clickhouse_addr": api.server.log_addr}, "version": "1.7.36"}
    assert agent.say("host-info", info=DEBIAN) == {"agent_id": 1, **cfg}
    assert agent.record["host_info"] == DEBIAN


def test_host_info_with_odd_systems(api: Api) -> None:
    agent = HandAgent(api).enrol()
    assert agent.say("host-info", info={"system": ""})["error"] == "empty system in host info"
    for given, kept in (("1", "any"), ("987", "987"), ("debian-12", "debian-12")):
        agent.say("host-info", info={"system": given})
        assert agent.record["host_info"]["system"] == kept
    assert agent.post("host-info").status_code == 500


def test_an_agent_without_a_job_hears_the_recorded_answers(api: Api) -> None:
    agent = HandAgent(api).enrol()
    cfg = {"cfg": {"clickhouse_addr": api.server.log_addr}, "version": "1.7.36"}
    finish = {"job_step": {"finish": True}, "msg": "job not assigned to agent"}
    for _ in range(2):  # once from the database, once from memory
        assert agent.say("get-job") == {"job": {}, **cfg}
        assert agent.say("get-job2") == {"job": {}, **cfg}
        assert agent.say("get-job-step") == {**finish, **cfg}
        assert agent.say("step-result2", job_id=1, step_idx=0, result={"status": "done"}) == {}
        assert agent.say("step-result2", job_id=1, step_idx=0) == {}
        assert agent.say("dispatch-tests", job_id=1, step_idx=0, tests=["a"]) == {}
        assert agent.say("keep-alive", job_id=None) == {}
        assert agent.say("hello") == {}


def test_losing_authorization_is_heard_at_the_next_poll(api: Api) -> None:
    agent = HandAgent(api).enrol()
    agent.say("get-job")
    for authorized in (False, True, False):
        api.call("PATCH", "/api/agents", [{"id": agent.id, "authorized": authorized}])
        assert ("unauthorized" in agent.say("get-job")) is not authorized


def test_a_huge_body_is_refused(server: RunningServer) -> None:
    answer = requests.post(f"{server.url}/backend", data=b" " * (33 * 1024 * 1024), headers=JSON, timeout=60)
    assert answer.status_code == 413
