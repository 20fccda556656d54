"""A server that is overloaded, or short of room: that says nothing of the message that it does not take."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.backoff import Backoff
from kraken_agent.config import Config
from kraken_agent.logs import Log, LogSink
from kraken_agent.reactor import Reactor
from kraken_agent.session import Session
from kraken_agent.spool import Spool

from tests.unit.agent.fake_server import FakeJob, FakeServer

# More often than the agent lets a message be refused.
OFTEN = 8


@pytest.fixture
def session(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session that tries again without long pauses."""
    monkeypatch.setattr(Backoff, "pause", lambda self: 0.01)
    reactor = Reactor()
    log = Log(reactor, LogSink())
    config = Config({"server": server.url, "data_dir": str(tmp_path)}, {})
    return Session(reactor, config, log, Spool(str(tmp_path / "spool"), log.warning), lambda: False)


def answer_badly(server: FakeServer, kind: str, status: int) -> list[int]:
    """Answer so to the first messages of a kind; gives the statuses that were answered."""
    answered: list[int] = []

    def trouble(message: dict[str, Any]) -> tuple[int, bytes, float] | None:
        if message["msg"] != kind or len(answered) == OFTEN:
            return None
        answered.append(status)
        return status, b"", 0.0

    server.trouble = trouble
    return answered


def report_to_bad_answers(server: FakeServer, session: Session, status: int) -> tuple[FakeJob, list[int]]:
    """Deliver the report of a step; gives its job and the bad answers that came."""
    job = server.add_job({"cmd": "true"})
    answered = answer_badly(server, "step-result2", status)
    session.report(job.id, 0, {"status": "done"})
    session.deliver()
    return job, answered


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
def test_a_report_that_finds_the_server_overloaded_is_kept(
    server: FakeServer, session: Session, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    job, answered = report_to_bad_answers(server, session, status)
    assert len(answered) == OFTEN
    assert [result["status"] for result in server.results(job)] == ["done"]
    assert "it is dropped" not in capfd.readouterr().err


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422, 500])
def test_a_report_that_is_refused_for_what_it_is_is_dropped(
    server: FakeServer, session: Session, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    _, answered = report_to_bad_answers(server, session, status)
    assert len(answered) < OFTEN
    assert not session.has_reports
    said = capfd.readouterr().err
    assert "it is dropped" in said
    assert f"HTTP status {status}" in said


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
def test_tests_that_find_the_server_overloaded_are_dispatched_later(
    server: FakeServer, session: Session, status: int
) -> None:
    job = server.add_job({"tool": "rndtest"})
    answered = answer_badly(server, "dispatch-tests", status)
    answer = session.dispatch_tests(job.id, 0, ["one", "two"], time.monotonic() + 600)
    assert len(answered) == OFTEN
    assert answer is not None
    assert answer.tests == ["one", "two"]


def test_a_report_is_not_repeated_because_the_server_cannot_say_if_it_has_it(
    server: FakeServer, session: Session
) -> None:
    """A gateway loses the answer to the report, and then the server is overloaded when it is asked for the job."""
    job = server.add_job({"cmd": "true"}, {"cmd": "true"})
    server.loses = lambda message: message["msg"] == "step-result2"
    answer_badly(server, "get-job", 503)
    session.report(job.id, 0, {"status": "done"})
    session.deliver()
    assert len(server.results(job)) == 1
