"""An unknown client tries to stop the server for others, with large, deep, many, slow or broken requests."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from kraken_fleet.listen import Limits, refusals
from kraken_fleet.server.testing import RunningServer, running
from tests.unit.server.conftest import Api, HandAgent, job_spec, shell
from tests.waiting import eventually, until


def size_of(server: RunningServer) -> int:
    return sum(file.stat().st_size for file in server.settings.data_dir.glob("server.sqlite*"))


def send(server: RunningServer, *datagrams: bytes) -> None:
    host, port = server.log_addr.rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (host, int(port)))


def record(message: str, **more: Any) -> bytes:
    # Of now: the server's watchdog deletes lines that are older than half a year.
    now = datetime.now(UTC).isoformat()
    said = {"@timestamp": now, "message": message, "service": "agent", "tool": "shell", "step": 0}
    return json.dumps({**said, **more}).encode()


def raw(server: RunningServer, *pieces: bytes, source: str = "127.0.0.1") -> socket.socket:
    url = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((url[0], int(url[1])), timeout=60, source_address=(source, 0))
    for piece in pieces:
        connection.sendall(piece)
    return connection


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "1" * 30, "[" * 100 + "]" * 100, "[" * 5000, '{"a":' * 900],
)
def test_what_an_agent_says_of_its_host_does_not_break_the_list_of_agents(api: Api, value: str) -> None:
    agent = HandAgent(api).enrol()
    said = f'{{"address":"{agent.address}","msg":"host-info","info":{{"system":"x","y":{value}}}}}'
    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{api.url}/backend", data=said, headers=headers, timeout=60).status_code == 400
    assert api.get("/agents")["total"] == 1


def test_host_info_and_systems_are_bounded(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(host_info_bytes=1000, systems=3)) as server:
        agent = HandAgent(Api(server)).enrol(system="one")
        assert agent.post("host-info", info={"system": "one", "y": "x" * 1000}).status_code == 413
        assert agent.post("host-info", info={"system": "two"}).status_code == 200
        assert agent.post("host-info", info={"system": "three"}).status_code == 429
        assert agent.post("host-info", info={"system": "s" * 300}).status_code == 400
        assert agent.post("host-info", info={"system": ["x"]}).status_code == 400


def test_one_peer_announces_so_many_agents_and_no_more(tmp_path: Path) -> None:
    limits = Limits(unknown_agents_per_peer=5, unknown_agents=8)
    with running(tmp_path / "data", limits=limits) as server:
        api = Api(server)
        known = HandAgent(api).enrol()
        answers = [HandAgent(api, f"10.0.0.{number}").post("get-job") for number in range(10)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 5
        assert "5 agents that connect from 127.0.0.1 wait" in answers[-1].json()["detail"]
        assert api.get("/agents?unauthorized=true")["total"] == 5
        assert known.job() == {}
        # Room is made by authorizing one.
        first = api.get("/agents?unauthorized=true")["items"][0]["id"]
        api.call("PATCH", "/api/agents", [{"id": first, "authorized": True}])
        assert HandAgent(api, "10.0.0.100").post("get-job").status_code == 200


def test_an_unknown_clients_body_is_refused_before_it_is_kept(server: RunningServer) -> None:
    for path in ("/api/sessions", "/bk/api/sessions", "/webhooks/1/github", "/api/groups", "/backend"):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"
        with closing(raw(server, head.encode(), b"Content-Length: 300000000\r\n\r\n")) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 413")
        chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        with closing(raw(server, chunked, b"200000\r\n", b"a" * 0x200000)) as connection:
            assert connection.recv(100).startswith((b"HTTP/1.1 413", b"HTTP/1.1 401"))


def test_an_address_or_a_head_without_end_is_refused(server: RunningServer) -> None:
    assert requests.get(f"{server.url}/api/agents/{'9' * 5000}", timeout=60).status_code == 414
    with closing(raw(server, b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: " + b"y" * 70_000)) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 431")


def test_slow_and_silent_connections_are_ended(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(head_seconds=1, request_seconds=2)) as server:
        silent = raw(server)
        slow = raw(server, b"POST /api/ses")
        half = raw(server, b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12")
        for connection in (silent, slow, half):
            with closing(connection):
                assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_one_peer_has_so_many_connections_and_others_are_served(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(connections=40, connections_per_peer=10)) as server:
        api = Api(server)
        agent = HandAgent(api).enrol()
        held = [raw(server, source="127.0.0.66") for _ in range(10)]
        with closing(raw(server, b"GET / HTTP/1.1\r\n\r\n", source="127.0.0.66")) as refused:
            assert refused.recv(100).startswith(b"HTTP/1.1 503")
        assert agent.job() == {}
        # Many peers take all connections for unknown clients: authorized agents have the rest.
        held += [raw(server, source=f"127.0.1.{number // 5}") for number in range(5, 40)]

        def is_refused() -> bool:
            """Say whether one more is; until then another one takes the place that somebody has left."""
            held.append(raw(server, source=f"127.0.2.{len(held)}"))
            with closing(raw(server, b"GET / HTTP/1.1\r\n\r\n", source="127.0.0.67")) as one_more:
                return one_more.recv(100).startswith(b"HTTP/1.1 503")

        until(is_refused)
        assert agent.job() == {}
        for connection in held:
            connection.close()


def test_one_datagram_costs_little_more_than_it_weighs(api: Api) -> None:
    before = size_of(api.server)
    send(api.server, record("\n" * 14_000, host="h" * 12_000, path="p" * 12_000, job=1))
    eventually(lambda: api.get("/logs?start=0&limit=1")["total"])
    assert size_of(api.server) - before < 4 * 2**20
    assert api.get("/logs?start=0&limit=1")["total"] == 500


def test_a_record_of_many_lines_is_kept_whole(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    text = "\n".join(str(number) for number in range(2_000))
    send(api.server, record(text, job=job["id"]))
    eventually(lambda: api.call("GET", f"/job_log/{job['id']}").text.count("\n") > 1_000)
    assert api.call("GET", f"/job_log/{job['id']}").text == f"message\n{text}\n"


def test_a_jobs_log_has_a_bound_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(log_bytes_per_job=10_000)) as server:
        api = Api(server)
        HandAgent(api).enrol()
        [job] = api.start([job_spec()])
        for number in range(40):
            send(server, record(f"{number} {'x' * 1000}", job=job["id"]))
            time.sleep(0.01)
        full = "This log is larger than 10000 bytes: the rest is not kept"
        items = eventually(
            lambda: api.get(f"/jobs/{job['id']}/logs?start=0&limit=99")["items"],
            lambda found: any(line["message"] == full for line in found),
        )
        assert items[-1]["message"] == full
        assert len(items) == 10


def test_a_made_up_job_has_no_log_of_its_own(tmp_path: Path) -> None:
    # The watchdog, which deletes the older half of such a log, does not come in between.
    with running(tmp_path / "data", limits=Limits(log_bytes_per_job=10_000), watchdog_interval=60.0) as server:
        api = Api(server)
        for number in range(1, 40):
            send(server, record("x" * 1000, job=number))
            time.sleep(0.01)
        total = eventually(lambda: api.get("/logs?start=0&limit=1")["total"], lambda found: found >= 10)
        time.sleep(0.3)  # until more would be there
        assert total == api.get("/logs?start=0&limit=1")["total"] == 10


@pytest.mark.parametrize(
    "datagram",
    [b"", b"\xff", b"[]", b"{", b"null", b'{"@timestamp": NaN}', record("x", lineno=1e300), record("x", job="²")],
)
def test_a_datagram_that_is_no_record_costs_nobody_a_line(api: Api, datagram: bytes) -> None:
    send(api.server, datagram, record("a line"))
    items = eventually(lambda: api.get("/logs?start=0&limit=99")["items"])
    assert [line["message"] for line in items] == ["a line"]


def test_a_line_of_a_wrong_clock_is_kept_as_of_now(api: Api) -> None:
    send(api.server, record("a line", **{"@timestamp": "9999-01-01T00:00:00Z"}))
    [line] = eventually(lambda: api.get("/logs?start=0&limit=1")["items"])
    assert abs(time.time() - time.mktime(time.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S"))) < 86400


def test_the_database_has_a_bound_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(database_bytes=600_000)) as server:
        api = Api(server)
        answers = [api.call("POST", "/api/groups", {"name": f"{number}{'x' * 50_000}"}) for number in range(20)]
        kept = sum(answer.status_code == 201 for answer in answers)
        assert answers[-1].status_code == 507
        assert "is full" in answers[-1].json()["detail"]
        assert api.get("/groups?limit=100")["total"] == 1 + kept  # nothing that was acknowledged is lost


def test_lists_are_cut_into_pages(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(page_items=3)) as server:
        api = Api(server)
        for number in range(5):
            api.group(f"g{number}")
        page = api.get("/groups?limit=100000000")
        assert (len(page["items"]), page["total"]) == (3, 6)
        assert len(api.get("/groups?start=3&limit=9223372036854775808")["items"]) == 3
        assert api.get("/groups?start=99999999999999999999&limit=1")["items"] == []


def test_lists_without_pages_have_a_bound_and_runs_are_the_newest(tmp_path: Path) -> None:
    with running(tmp_path / "data", limits=Limits(page_items=2)) as server:
        api = Api(server)
        stage = api.stage([job_spec(shell("x"))])
        made = [api.run(stage)["id"] for _ in range(3)]
        assert [run["id"] for run in api.get(f"/stages/{stage['id']}/runs")] == made[1:]
        api.stage([job_spec(shell("x"))])
        api.stage([job_spec(shell("x"))])
        found = api.get("/projects")
        assert len(found["items"]) == 2
        assert found["total"] > 2


def test_agents_that_went_away_make_room(tmp_path: Path) -> None:
    from kraken_fleet.server.agents import watchdog
    from kraken_fleet.server.core import Core
    from kraken_fleet.server.settings import ServerSettings

    with running(tmp_path / "data") as server:
        api = Api(server)
        HandAgent(api, "10.0.0.1").enrol()
        for number in (2, 3, 4):
            HandAgent(api, f"10.0.0.{number}").say("get-job")
    with closing(sqlite3.connect(tmp_path / "data/server.sqlite")) as database:
        database.execute("UPDATE agents SET last_seen = last_seen - 100000")
        database.commit()
    core = Core.open(ServerSettings(tmp_path / "data"), lambda _password: None)
    assert len(core.roster.discovered) == 3
    watchdog.forget_unauthorized(core)
    assert len(core.roster.discovered) == 1  # the newest record keeps its id
    core.close()
    with closing(sqlite3.connect(tmp_path / "data/server.sqlite")) as database:
        assert [row[0] for row in database.execute("SELECT address FROM agents ORDER BY id")] == [
            "10.0.0.1",
            "10.0.0.4",
        ]


def test_an_unknown_client_cannot_fill_the_log(
    server: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine takes longer than a minute for so many requests.
    monkeypatch.setattr(refusals, "_QUIET_SECONDS", 3600.0)
    for _ in range(200):
        requests.post(f"{server.url}/backend", data="x\x1b[31m", headers={"Origin": "http://e"}, timeout=60)
    lines = [line for line in caplog.messages if line.startswith("Refused")]
    assert len(lines) == 1
    assert os.linesep not in lines[0]
    assert "\x1b" not in lines[0]
