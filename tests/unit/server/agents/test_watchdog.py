"""Silence and time-outs, with a patience of fractions of a second."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from kraken_fleet.server import ServerSettings
from kraken_fleet.server.agents.watchdog import look, prune
from kraken_fleet.server.clock import iso, now
from kraken_fleet.server.core import Core
from kraken_fleet.server.store.tables import Agent, LoginSession
from kraken_fleet.server.testing import running
from tests.background import repeating
from tests.waiting import eventually

from ..conftest import Api, HandAgent, job_spec


@contextmanager
def impatient(tmp_path: Path, **changes: Any) -> Iterator[Api]:
    with running(tmp_path / "data", watchdog_interval=0.05, **changes) as server:
        yield Api(server)


@contextmanager
def polling(agent: HandAgent) -> Iterator[None]:
    """The agent goes on saying keep-alive, as one does whose step takes long."""
    with repeating(lambda: agent.say("keep-alive", job_id=None), pause=0.05):
        yield


def test_the_job_of_an_agent_that_vanished_is_done_by_another(tmp_path: Path) -> None:
    with impatient(tmp_path, agent_timeout=15) as api:
        lost, spare = HandAgent(api).enrol(), HandAgent(api).enrol()
        with polling(spare):
            [job] = api.start([job_spec()])
            lost.job()
            lost.say("get-job-step")
            lost.say("step-result2", job_id=job["id"], step_idx=0, result={"status": "in-progress"})
            eventually(lambda: api.get(f"/jobs/{job['id']}")["agent_id"] == spare.id)
        record = lost.record
        assert (record["state"], record["job"]) == (1, None)
        assert "was not seen" in record["status_line"]
        # What the lost one says when it comes back is ignored: the job is not its any more.
        assert lost.say("step-result2", job_id=job["id"], step_idx=0, result={"status": "error"}) == {}
        assert lost.record["state"] == 0
        spare.work()
        assert api.get(f"/jobs/{job['id']}")["completion_status"] == 0


def test_a_job_that_a_silent_agent_never_took_goes_to_another(tmp_path: Path) -> None:
    with impatient(tmp_path, pickup_timeout=12) as api:
        silent, spare = HandAgent(api).enrol(), HandAgent(api).enrol()
        with polling(spare):
            [job] = api.start([job_spec()])
            assert job["agent_id"] == silent.id
            eventually(lambda: api.get(f"/jobs/{job['id']}")["agent_id"] == spare.id)
        assert "did not take the job" in api.get(f"/jobs/{job['id']}")["notes"]


def test_an_agent_that_keeps_alive_keeps_its_job(tmp_path: Path) -> None:
    with impatient(tmp_path, agent_timeout=10, pickup_timeout=8) as api:
        agent = HandAgent(api).enrol()
        [job] = api.start([job_spec()])
        agent.job()
        with polling(agent):
            threading.Event().wait(13.0)
        assert api.get(f"/jobs/{job['id']}")["agent_id"] == agent.id


def test_a_job_beyond_its_time_is_cancelled_and_the_agent_hears_it(tmp_path: Path) -> None:
    with impatient(tmp_path) as api:
        agent = HandAgent(api).enrol()
        [job] = api.start([job_spec()])
        agent.job()
        shorten(tmp_path, "UPDATE jobs SET timeout = 0")
        eventually(lambda: api.get(f"/jobs/{job['id']}")["state"] == 5)
        after = api.get(f"/jobs/{job['id']}")
        assert (after["completion_status"], after["notes"]) == (7, "job expired after 0s")
        assert agent.say("keep-alive", job_id=job["id"]) == {"cancel": True}


def test_a_run_beyond_its_time_cancels_what_waits(tmp_path: Path) -> None:
    with impatient(tmp_path) as api:
        HandAgent(api).enrol()
        [_, waiting] = api.start([job_spec(), job_spec(name="k")], timeout=0)
        eventually(lambda: api.get(f"/runs/{waiting['run_id']}")["state"] == "processed")
        assert "timed out, deadline was" in api.get(f"/runs/{waiting['run_id']}")["note"]
        assert api.get(f"/jobs/{waiting['id']}")["completion_status"] == 7


def test_old_log_lines_and_log_ins_are_dropped(tmp_path: Path) -> None:
    core = Core.open(ServerSettings(tmp_path), lambda _password: None)
    try:
        line = {"message": "m", "@timestamp": iso(now() - 200 * 86400)}
        core.logs.take(json.dumps(line).encode())
        core.logs.take(json.dumps(line | {"@timestamp": iso(now())}).encode())
        with core.db.write() as session:
            session.add_all(LoginSession(token_hash=str(age), user_id=1, created=now() - age) for age in (1, 10**7))
        assert core.logs.count() == 2
        prune(core)
        assert core.logs.count() == 1
        with core.db.read() as session:
            assert session.scalars(select(LoginSession.token_hash)).all() == ["1"]
    finally:
        core.close()


@contextmanager
def silent_fleet(tmp_path: Path, number: int) -> Iterator[Core]:
    """A server that was up for a day, with agents that nobody authorized and that have not spoken since."""
    core = Core.open(ServerSettings(tmp_path / str(number)), lambda _password: None)
    try:
        core.started = now() - 2 * 86400
        with core.db.write() as session:
            session.add_all(
                Agent(name=f"host{index}", address=f"host{index}", last_seen=now() - 1.5 * 86400)
                for index in range(number)
            )
        yield core
    finally:
        core.close()


def statements_of(core: Core, work: Callable[[Core], object]) -> int:
    """Count what is sent to the database."""
    sent: list[object] = []
    event.listen(core.db.engine, "before_cursor_execute", lambda *about: sent.append(about[2]))
    work(core)
    return len(sent)


@pytest.mark.parametrize("work", [look, prune], ids=["retired", "forgotten"])
def test_a_fleet_that_falls_silent_takes_no_more_statements_than_one(
    tmp_path: Path, work: Callable[[Core], object]
) -> None:
    with silent_fleet(tmp_path, 2) as few, silent_fleet(tmp_path, 200) as many:
        assert statements_of(few, work) == statements_of(many, work)
        with many.db.read() as session:
            left = session.scalars(select(Agent)).all()
        if work is look:
            assert {(agent.state, "was not seen" in str(agent.status_line)) for agent in left} == {(1, True)}
            assert len(left) == 200
        else:
            assert [agent.address for agent in left] == ["host199"]
            assert len(many.roster.discovered) == 1


def test_a_queue_of_a_thousand_jobs_is_made_and_spread_quickly(tmp_path: Path) -> None:
    with impatient(tmp_path) as api:
        agents = [HandAgent(api).enrol() for _ in range(3)]
        begin = time.process_time()
        api.run(api.stage([job_spec(system=["any"] * 1000)]))
        assert time.process_time() - begin < 15
        for agent in agents:
            first = agent.job()["id"]
            agent.work()
            assert agent.job()["id"] != first


def shorten(tmp_path: Path, statement: str) -> None:
    """Changes the database behind the server's back: its own shortest job takes a minute."""
    connection = sqlite3.connect(tmp_path / "data" / "server.sqlite", timeout=10)
    with connection:
        connection.execute(statement)
    connection.close()
