"""What is read from addresses and answers, without a network."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kraken_agent.http_answer import HttpAnswer
from kraken_agent.protocol import (
    IN_PROGRESS,
    LONGEST_SECONDS,
    Answer,
    answer_to_dispatch,
    answer_to_report,
    parse_server,
    seconds_of,
)


@pytest.mark.parametrize(
    ("text", "connect", "backend"),
    [
        ("host", ("http", "host", 80), "/backend"),
        ("host:6363", ("http", "host", 6363), "/backend"),
        ("http://host:6363/", ("http", "host", 6363), "/backend"),
        ("https://host/bk/", ("https", "host", 443), "/bk/backend"),
        ("http://host/bk", ("http", "host", 80), "/backend"),
        ("http://host/bk/backend", ("http", "host", 80), "/bk/backend"),
        ("http://[::1]:6363/a/b/?x=1#y", ("http", "::1", 6363), "/a/b/backend"),
        ("HTTP://host", ("http", "host", 80), "/backend"),
    ],
)
def test_addresses_of_servers(text: str, connect: tuple[str, str, int], backend: str) -> None:
    url = parse_server(text)
    assert (url.scheme, url.host, url.port) == connect
    assert url.path("backend") == backend


@pytest.mark.parametrize("text", ["", "ftp://host", "http://", "host:port", "http://host:99999", "http://u:p@host"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="server"):
        parse_server(text)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ValueError) as error:
        parse_server("http://user:hunter2@host")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "data", [{}, {"job": None, "cfg": [], "job_step": 1, "tests": {}, "version": 2, "agent_id": "x"}]
)
def test_answers_without_sense_say_nothing(data: dict[str, object]) -> None:
    answer = Answer(data)
    assert (answer.job, answer.step, answer.tests, answer.version, answer.agent_id, answer.log_address) == (
        {},
        {},
        None,
        "",
        None,
        "",
    )
    assert not any((answer.unauthorized, answer.cancel, answer.is_step_answer))


def test_a_finished_job_has_no_step() -> None:
    answer = Answer({"job_step": {"finish": True}})
    assert answer.is_step_answer
    assert answer.step == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
STEP = st.dictionaries(st.sampled_from(["index", "tool", "status", "result", "tests", "finish"]), JSON)
STEPS = st.lists(STEP | JSON, max_size=3)
JOB = st.fixed_dictionaries({}, optional={"id": st.just(1) | JSON, "steps": STEPS | JSON, "timeout": JSON})
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "job": JOB | JSON,
        "job_step": STEP | JSON,
        **dict.fromkeys(["tests", "cfg", "version", "agent_id", "cancel"], JSON),
    },
)


# As the agent's spool gives them back, whatever is in its files.
REPORTS = st.fixed_dictionaries(
    {
        "job_id": st.integers(),
        "step_idx": st.integers(),
        "result": st.dictionaries(st.just("status") | st.text(max_size=8), st.just(IN_PROGRESS) | JSON, max_size=3),
    }
)


@given(ANSWERS, REPORTS)
def test_no_answer_of_a_server_raises_and_each_part_has_its_type(data: dict[str, Any], report: dict[str, Any]) -> None:
    answer = Answer(data)
    assert isinstance(answer.job, dict)
    assert isinstance(answer.step, dict)
    assert answer.tests is None or all(isinstance(test, str) for test in answer.tests)
    assert isinstance(answer.version, str)
    assert isinstance(answer.log_address, str)
    assert answer.agent_id is None or isinstance(answer.agent_id, int)
    answer_to_report(answer, report)
    answer_to_report(answer, {**report, "job_id": 1})
    answer_to_dispatch(answer, {"job_id": 1, "tests": ["a"]})


@given(JSON | st.floats() | st.text())
def test_times_of_others_are_numbers_within_bounds(value: object) -> None:
    assert 0 <= seconds_of(value, 60.0) <= LONGEST_SECONDS


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5), ("7.5", 7.5), (-1, 0), (1e300, LONGEST_SECONDS), (float("nan"), 60), ("soon", 60), (None, 60), (True, 60)],
)
def test_a_time_of_somebody_else(value: object, seconds: float) -> None:
    assert seconds_of(value, 60.0) == seconds


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda body: b"HTTP/1.1 200 OK\r\n" + body))
def test_bytes_that_are_no_http_are_an_error_and_nothing_else(data: bytes) -> None:
    pieces = [data[start : start + 7] for start in range(0, len(data), 7)]
    try:
        status, body = HttpAnswer(lambda: pieces.pop(0) if pieces else b"").read()
    except ValueError:
        return
    assert isinstance(status, int)
    assert isinstance(body, bytes)
