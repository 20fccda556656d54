"""What is read from addresses and answers, without a network."""

from __future__ import annotations

import pytest
from kraken_agent.protocol import Answer, parse_server


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
