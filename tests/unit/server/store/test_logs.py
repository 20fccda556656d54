"""From an agent's datagram to the job's log."""

from __future__ import annotations

import json
import socket
from typing import Any

import requests

from tests.waiting import eventually

from ..conftest import Api, HandAgent, job_spec


def send(api: Api, *records: dict[str, Any] | bytes) -> None:
    host, port = api.server.log_addr.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for record in records:
            data = record if isinstance(record, bytes) else json.dumps(record).encode()
            sender.sendto(data, (host, int(port)))


def record(job: int, message: str, *, second: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "@timestamp": f"2026-11-23T16:31:{second:09.6f}Z",
        "message": message,
        "host": "builder",
        "path": "/opt/kraken/kkagent/shell.py",
        "lineno": 7,
        "level": "INFO",
        "logger_name": "agent",
        "service": "agent",
        "tool": "shell",
        "step": 0,
        "job": job,
        **more,
    }


def lines(api: Api, job: int, query: str = "") -> list[dict[str, Any]]:
    return list(api.get(f"/jobs/{job}/logs?start=0&limit=5000&{query}")["items"])


def test_lines_come_back_in_order_of_time_with_what_was_sent(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    send(api, record(job["id"], "second", second=2), record(job["id"], "first\nand more", second=1, level="ERROR"))
    found = eventually(lambda: lines(api, job["id"]), lambda got: len(got) == 3)
    assert [line["message"] for line in found] == ["first", "and more", "second"]
    assert found[0] == {
        "time": "2026-11-23T16:31:01.000000Z",
        "message": "first",
        "service": "agent",
        "host": "builder",
        "level": "erro",
        "job": job["id"],
        "tool": "shell",
        "step": 0,
    }
    assert [line["message"] for line in lines(api, job["id"], "order=desc")] == ["second", "and more", "first"]
    page = api.get(f"/jobs/{job['id']}/logs?start=1&limit=1")
    assert (page["total"], page["items"][0]["message"], page["job"]["id"]) == (3, "and more", job["id"])


def test_the_agents_own_lines_are_internal_and_steps_can_be_read_alone(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    number = job["id"]
    send(
        api,
        record(number, "of step 1", step=1),
        record(number, "internal", tool=None, step=None),
        record(number, "of step 0"),
    )
    eventually(lambda: len(lines(api, number, "internals=true")) == 3)
    assert sorted(line["message"] for line in lines(api, number)) == ["of step 0", "of step 1"]
    assert [line["message"] for line in api.get(f"/jobs/{number}/1/logs?start=0&limit=9")["items"]] == ["of step 1"]
    for path, count in ((f"/job_log/{number}", 3), (f"/bk/job_log/{number}/1", 1)):
        text = api.call("GET", path)
        assert text.text.splitlines()[0] == "message"
        assert len(text.text.splitlines()) == 1 + count
    assert requests.get(f"{api.url}/job_log/{number}", timeout=60).status_code == 401


def test_rubbish_is_dropped_and_costs_nobody_else_a_line(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    rubbish: list[dict[str, Any] | bytes] = [
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"5",
        {"message": "no time"},
        {**record(job["id"], "odd time"), "@timestamp": "yesterday"},
        record(2**70, "odd job"),
        record(job["id"], "odd step", step="x"),
    ]
    send(api, *rubbish, record(job["id"], "half a \ud800 pair"), record(job["id"], "good", second=5))
    found = eventually(lambda: lines(api, job["id"]), lambda got: len(got) == 2)
    assert [line["message"] for line in found] == ["half a ? pair", "good"]


def test_a_burst_of_a_whole_fleet_arrives(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    send(api, *(record(job["id"], f"line {number}") for number in range(3000)))
    eventually(lambda: api.get(f"/jobs/{job['id']}/logs?start=0&limit=0")["total"] == 3000)


def test_questions_that_make_no_sense_are_refused(api: Api) -> None:
    HandAgent(api).enrol()
    [job] = api.start([job_spec()])
    for query, words in (
        ("start=0&limit=1&order=up", "order value: up"),
        ("start=-1&limit=1", "start value: -1"),
        ("start=0&limit=-2", "limit value: -2"),
    ):
        answer = api.call("GET", f"/api/jobs/{job['id']}/logs?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (400, f"incorrect {words}")
    missing = api.call("GET", f"/api/jobs/{job['id']}/logs")
    assert missing.json()["detail"] == "Missing query parameter 'start'"
    assert api.call("GET", "/api/jobs/999/logs?start=0&limit=1").json()["detail"] == "Job not found"
