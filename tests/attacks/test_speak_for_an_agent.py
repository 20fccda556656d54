"""Somebody who is not the agent says that he is: he gets neither its job with the secrets nor a word of his kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.server.testing import RunningServer, running
from tests.source_address import From
from tests.unit.server.conftest import Api, HandAgent, job_spec, shell

ADDRESS = "10.0.0.5"
SECRET = "very-secret-4711"


def say(server: RunningServer, source: str, msg: str, address: str | None = ADDRESS, **more: Any) -> requests.Response:
    """One message from a host at `source`."""
    with requests.Session() as http:
        http.mount("http://", From(source))
        return http.post(f"{server.url}/backend", json={"address": address, "msg": msg, **more}, timeout=60)


def authorize(api: Api, *, authorized: bool = True) -> None:
    assert api.call("PATCH", "/api/agents", [{"id": 1, "authorized": authorized}]).status_code == 200


@pytest.fixture
def agent(api: Api) -> None:
    """An authorized agent that connects from 127.0.0.5."""
    say(api.server, "127.0.0.5", "get-job")
    authorize(api)
    assert say(api.server, "127.0.0.5", "host-info", info={"system": "x"}).json()["agent_id"] == 1


@pytest.mark.usefixtures("agent")
def test_its_job_and_secrets_are_not_given_to_another_host(api: Api) -> None:
    stage = api.stage([job_spec(shell("echo #{secrets.TOKEN}"))])
    secret = {"name": "TOKEN", "kind": "simple", "secret": SECRET}
    assert api.call("POST", f"/api/projects/{stage['project']}/secrets", secret).status_code == 201
    api.run(stage)
    for msg in ("get-job", "get-job2", "get-job-step", "keep-alive", "hello"):
        refused = say(api.server, "127.0.0.66", msg)
        assert (refused.status_code, SECRET in refused.text) == (403, False)
        assert "authorized when it connected from 127.0.0.5, and this comes from 127.0.0.66" in refused.json()["detail"]
    assert SECRET in say(api.server, "127.0.0.5", "get-job").text


@pytest.mark.usefixtures("agent")
def test_another_host_cannot_report_a_result_or_change_what_is_known_of_it(api: Api) -> None:
    [job] = api.start([job_spec()])
    say(api.server, "127.0.0.5", "get-job")
    done = {"job_id": job["id"], "step_idx": 0, "result": {"status": "done"}}
    assert say(api.server, "127.0.0.66", "step-result2", **done).status_code == 403
    assert say(api.server, "127.0.0.66", "host-info", info={"system": "y"}).status_code == 403
    assert api.get(f"/jobs/{job['id']}")["steps"][0]["status"] is None
    record = api.get("/agents/1")
    assert (record["host_info"], record["ip_address"]) == ({"system": "x"}, "127.0.0.5")


@pytest.mark.usefixtures("agent")
def test_a_host_that_moved_is_shown_and_is_the_agent_when_it_is_authorized_again(api: Api) -> None:
    assert say(api.server, "127.0.0.6", "get-job").status_code == 403
    record = api.get("/agents/1")
    assert record["status_line"] == "refused: it connects from 127.0.0.6 now"
    assert record["extra_attrs"] == {"refused_peer": "127.0.0.6"}
    authorize(api)
    assert "job" in say(api.server, "127.0.0.6", "get-job").json()
    assert say(api.server, "127.0.0.5", "get-job").status_code == 403
    assert api.get("/agents/1")["ip_address"] == "127.0.0.6"


@pytest.mark.usefixtures("agent")
def test_taking_the_authorization_away_forgets_who_was_refused(api: Api) -> None:
    assert say(api.server, "127.0.0.66", "get-job").status_code == 403
    authorize(api, authorized=False)
    authorize(api)
    assert say(api.server, "127.0.0.5", "get-job").status_code == 200
    assert api.get("/agents/1")["extra_attrs"] is None


def test_a_record_that_waits_cannot_be_taken_over_while_its_host_speaks(api: Api) -> None:
    assert say(api.server, "127.0.0.5", "get-job").status_code == 200
    assert "Another host, at 127.0.0.5" in say(api.server, "127.0.0.66", "get-job").json()["detail"]
    assert api.get("/agents/1")["ip_address"] == "127.0.0.5"


def test_the_host_itself_takes_its_record_at_once_from_one_who_was_heard_first(api: Api) -> None:
    own = "127.0.0.5"
    assert say(api.server, "127.0.0.66", "get-job", own).status_code == 200
    assert api.get("/agents/1")["ip_address"] == "127.0.0.66"
    assert say(api.server, own, "get-job", own).status_code == 200
    assert api.get("/agents/1")["ip_address"] == own
    assert f"Another host, at {own}" in say(api.server, "127.0.0.66", "get-job", own).json()["detail"]
    authorize(api)
    assert "job" in say(api.server, own, "get-job", own).json()
    assert say(api.server, "127.0.0.66", "get-job", own).status_code == 403


def test_the_host_has_its_record_after_another_one_was_authorized_by_mistake(api: Api) -> None:
    own = "127.0.0.5"
    assert say(api.server, "127.0.0.66", "get-job", own).status_code == 200
    authorize(api)
    assert say(api.server, own, "get-job", own).status_code == 403, "who was authorized stays until somebody decides"
    authorize(api, authorized=False)
    assert say(api.server, "127.0.0.66", "get-job", own).status_code == 200
    assert say(api.server, own, "get-job", own).status_code == 200
    assert api.get("/agents/1")["ip_address"] == own
    assert say(api.server, "127.0.0.66", "get-job", own).status_code == 403


def test_several_agents_behind_one_address_are_each_served(api: Api) -> None:
    agents = [HandAgent(api, f"10.0.1.{number}").enrol() for number in (1, 2, 3)]
    assert [agent.job() for agent in agents] == [{}, {}, {}]


@pytest.mark.usefixtures("agent")
def test_who_was_pinned_is_known_after_a_restart(api: Api, server: RunningServer, tmp_path: Path) -> None:
    del api  # the first server goes on; a copy of what it kept is opened by another
    import shutil
    import sqlite3

    copy = tmp_path / "copy"
    copy.mkdir()
    with sqlite3.connect(server.settings.data_dir / "server.sqlite") as source:
        source.execute("VACUUM INTO ?", (str(copy / "server.sqlite"),))
    with running(copy) as restarted:
        assert say(restarted, "127.0.0.66", "get-job").status_code == 403
        assert say(restarted, "127.0.0.5", "get-job").status_code == 200
    shutil.rmtree(copy)


@pytest.fixture
def both_families(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "data", host="::") as found:
        yield found


def test_ipv4_that_ipv6_carries_is_ipv4(both_families: RunningServer) -> None:
    port = both_families.settings.port
    body = {"address": None, "msg": "get-job"}
    requests.post(f"http://127.0.0.1:{port}/backend", json=body, timeout=60)
    login = {"user": "admin", "password": both_families.password}
    token = requests.post(f"http://127.0.0.1:{port}/api/sessions", json=login, timeout=60).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{port}/api/agents?unauthorized=true"
    [agent] = requests.get(url, headers=headers, timeout=60).json()["items"]
    assert (agent["address"], agent["ip_address"]) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json", "Origin": "http://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
    ],
)
@pytest.mark.usefixtures("agent")
def test_a_web_page_is_no_agent(api: Api, headers: dict[str, str], status: int) -> None:
    data = b'{"address":"10.0.0.5","msg":"get-job"}'
    with requests.Session() as http:
        http.mount("http://", From("127.0.0.5"))
        assert http.post(f"{api.url}/backend", data=data, headers=headers, timeout=60).status_code == status


@pytest.mark.parametrize("claimed", ["-oProxyCommand=x", "a b", "\x1b[31m", "a/../b", "x" * 254, "é", "10.0.0.1\n", ""])
def test_a_name_that_is_none_is_refused(api: Api, claimed: str) -> None:
    assert say(api.server, "127.0.0.66", "get-job", claimed).status_code in (400, 500)
    assert api.get("/agents?unauthorized=true")["total"] == 0


@pytest.mark.parametrize("forged", ["10.0.0.1", "-oProxyCommand=touch /tmp/x", "127.0.0.1, 10.0.0.1"])
def test_a_header_does_not_say_who_a_peer_is(api: Api, forged: str) -> None:
    headers = {"X-Forwarded-For": forged, "X-Real-IP": forged, "Forwarded": f"for={forged}"}
    body = {"address": "10.0.0.9", "msg": "get-job"}
    requests.post(f"{api.url}/backend", json=body, headers=headers, timeout=60)
    assert api.get("/agents?unauthorized=true")["items"][0]["ip_address"] == "127.0.0.1"


def test_the_operators_own_proxy_does(tmp_path: Path) -> None:
    with running(tmp_path / "proxied", proxies=("127.0.0.1",)) as server:
        api = Api(server)
        for number, said in enumerate(("10.0.0.1", "::ffff:10.0.0.1", "-oProxyCommand=x"), 1):
            body = {"address": f"10.0.0.{number}", "msg": "get-job"}
            requests.post(f"{api.url}/backend", json=body, headers={"X-Forwarded-For": said}, timeout=60)
        peers = [item["ip_address"] for item in api.get("/agents?unauthorized=true")["items"]]
        assert peers == ["10.0.0.1", "10.0.0.1", None]
