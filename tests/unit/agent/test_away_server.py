"""A server that is gone, slow or broken: the agent waits, and what it has to report arrives, once and in order."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.backoff import Backoff

from tests.unit.agent.conftest import BEGUN, StartAgent, end_step
from tests.unit.agent.fake_server import FakeJob, FakeServer

Until = Callable[..., None]


def shell(cmd: str, **fields: object) -> dict[str, object]:
    return {"cmd": cmd, **fields}


def test_a_result_arrives_once_when_the_server_is_back(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    job = server.add_job(shell(f"{BEGUN}; exit 6"), shell("echo after", when="always"))
    agent = start_agent()
    until(lambda: server.sink.output())
    server.stop()
    end_step(agent)
    spool = agent.data_dir / "spool"
    until(lambda: any(spool.glob("*.json")))
    until(lambda: "trying again" in agent.said())
    kept = list(spool.glob("*.json"))
    assert [json.loads(path.read_text())["result"]["retcode"] for path in kept] == [6]
    server.start()
    until(lambda: job.finished)
    assert [(result["step"], result["status"]) for result in server.results(job)] == [(0, "error"), (1, "done")]
    assert not list(spool.iterdir())
    assert "answers again" in agent.said()


def _killed_with_a_result(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    """Let an agent run its job while the server goes away, and kill it when it has kept the result."""
    agent = start_agent()
    until(lambda: server.sink.output())
    server.stop()
    end_step(agent)
    until(lambda: list((agent.data_dir / "spool").glob("*.json")))
    agent.signal(signal.SIGKILL)
    agent.wait()


def test_a_result_survives_the_agents_death(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job(shell(f"{BEGUN}; exit 6"))
    _killed_with_a_result(server, start_agent, until)
    server.start()
    start_agent()
    until(lambda: job.finished)
    assert [result["retcode"] for result in server.results(job)] == [6]
    assert server.sink.output().count("begun") == 1


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"{}"), (502, b"<html>"), (200, b"garbage"), (200, b"[]"), (200, b"")]
)
def test_trouble_with_answers_is_waited_out(
    server: FakeServer, start_agent: StartAgent, until: Until, status: int, body: bytes
) -> None:
    job = server.add_job(shell("echo it ran"))
    left = {"host-info": 1, "get-job": 1, "get-job-step": 1, "step-result2": 1}

    def trouble(message: dict[str, object]) -> tuple[int, bytes, float] | None:
        left[str(message["msg"])] = left.get(str(message["msg"]), 0) - 1
        return (status, body, 0.0) if left[str(message["msg"])] >= 0 else None

    server.trouble = trouble
    start_agent()
    until(lambda: job.finished)
    assert server.sink.output(job.id) == ["it ran"]
    assert [result["status"] for result in server.results(job)] == ["done"]


def test_pauses_double_up_to_half_a_minute_and_are_never_the_same_on_two_agents() -> None:
    first, second = Backoff(), Backoff()
    pauses = [first.pause() for _ in range(8)]
    assert pauses != [second.pause() for _ in range(8)]
    longest = [1, 2, 4, 8, 16, 30, 30, 30]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    first.reset()
    assert first.pause() <= 1


def test_pauses_grow_while_the_server_is_broken(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    times: list[float] = []

    def trouble(message: dict[str, object]) -> tuple[int, bytes, float]:
        times.append(time.monotonic())
        return 500, b"{}", 0.0

    server.trouble = trouble
    start_agent()
    until(lambda: len(times) >= 4)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] >= 0.45
    assert pauses[2] > pauses[0]


def test_a_slow_server_does_not_keep_a_deadline_from_being_kept(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    """The announcement of the step hangs for twenty seconds; the step is ended after one all the same."""
    job = server.add_job(shell("echo begun; trap 'echo ended' TERM; sleep 60 & wait; sleep 1", timeout=1))

    def trouble(message: dict[str, object]) -> tuple[int, bytes, float] | None:
        result = message.get("result")
        return (200, b"{}", 20.0) if isinstance(result, dict) and result["status"] == "in-progress" else None

    server.trouble = trouble
    start_agent()
    until(lambda: "begun" in server.sink.output())
    began = time.monotonic()
    until(lambda: "ended" in server.sink.output())
    assert time.monotonic() - began < 15
    until(lambda: server.results(job))
    assert server.results(job)[0]["reason"] == "step-timeout"


def test_a_report_that_the_server_refuses_for_ever_does_not_hold_the_others(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    job = server.add_job(shell("echo one"), shell("echo two"))

    def trouble(message: dict[str, object]) -> tuple[int, bytes, float] | None:
        result = message.get("result")
        refused = isinstance(result, dict) and message["step_idx"] == 0 and result["status"] == "done"
        if refused:
            job.statuses[0] = "done"
        return (500, b"{}", 0.0) if refused else None

    server.trouble = trouble
    agent = start_agent()
    until(lambda: job.finished)
    assert [result["step"] for result in server.results(job)] == [1]
    assert "refuses this report" in agent.said()


def test_reports_are_kept_while_the_agent_is_not_authorized(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    job = server.add_job(shell(BEGUN))
    agent = start_agent()
    until(lambda: server.sink.output())
    server.authorized = False
    end_step(agent)
    until(lambda: "withdrawn" in agent.said())
    assert list((agent.data_dir / "spool").glob("*.json"))
    server.authorized = True
    until(lambda: job.finished)
    assert [result["status"] for result in server.results(job)] == ["done"]


def lose(server: FakeServer, *kinds: str) -> list[dict[str, Any]]:
    """Lose the server's first answer to each kind of message: its `msg`, or the status that it reports; gives them."""
    lost: list[dict[str, Any]] = []
    left = set(kinds)

    def loses(message: dict[str, object]) -> bool:
        result = message.get("result")
        kind = str(result["status"] if isinstance(result, dict) and result.get("duration") else message["msg"])
        if kind not in left:
            return False
        left.discard(kind)
        lost.append(message)
        return True

    server.loses = loses
    return lost


# It reports in two parts.
TOOL = """\
import time

def run_artifacts(step, report_artifact=None):
    report_artifact({"path": "one", "size": 3})
    time.sleep(1)
    report_artifact({"path": "two", "size": 3})
    return 0, ""
"""


@pytest.mark.parametrize("lost_status", ["in-progress", "done"])
def test_a_report_whose_answer_was_lost_is_not_repeated(
    server: FakeServer, run_job: Callable[..., FakeJob], tmp_path: Path, lost_status: str
) -> None:
    """The server counts what is reported twice twice: artifacts, issues."""
    (tmp_path / "kraken_mine.py").write_text(TOOL)
    lost = lose(server, lost_status)
    job = run_job({"tool": "mine"}, shell("echo after"), agent={"KRAKEN_TOOLS_DIRS": str(tmp_path)})
    assert len(lost) == 1
    partial = [result["artifacts"] for result in server.results(job, final=False) if "artifacts" in result]
    assert [artifact["path"] for artifacts in partial for artifact in artifacts] == ["one", "two"]
    assert [(result["step"], result["status"]) for result in server.results(job)] == [(0, "done"), (1, "done")]


@pytest.mark.parametrize("status", [502, 504, 200])
def test_a_report_of_which_a_gateway_lost_the_answer_is_not_repeated(
    server: FakeServer, run_job: Callable[..., FakeJob], status: int
) -> None:
    left = [status]

    def trouble(message: dict[str, object]) -> tuple[int, bytes, float] | None:
        result = message.get("result")
        if not left or not isinstance(result, dict) or result["status"] != "done":
            return None
        server.answer(message)
        return left.pop(), b"<html>Bad gateway</html>", 0.0

    server.trouble = trouble
    job = run_job(shell("echo one"), shell("echo two"))
    assert [result["step"] for result in server.results(job)] == [0, 1]


def test_tests_whose_dispatch_was_not_answered_are_not_dispatched_again(
    server: FakeServer, run_job: Callable[..., FakeJob]
) -> None:
    lost = lose(server, "dispatch-tests")
    job = run_job({"tool": "rndtest", "count": 3})
    assert len(lost) == 1
    assert len(server.said("dispatch-tests")) == 1
    reported = [test["test"] for result in server.results(job, final=False) for test in result.get("test-results", ())]
    assert sorted(reported) == sorted(lost[0]["tests"])


def test_tests_that_the_server_refuses_for_ever_fail_their_step_alone(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    server.trouble = lambda message: (500, b"{}", 0.0) if message["msg"] == "dispatch-tests" else None
    job = server.add_job({"tool": "rndtest", "count": 3}, shell("echo after", when="always"))
    start_agent()
    until(lambda: job.finished)
    refused, after = server.results(job)
    assert "refused the list of tests" in refused["msg"]
    assert after["status"] == "done"


def test_a_killed_agents_report_that_had_arrived_is_not_repeated(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    job = server.add_job(shell("exit 6"), shell("sleep 1; echo after", when="always"))
    taken = threading.Event()

    def loses(message: dict[str, object]) -> bool:
        result = message.get("result")
        if isinstance(result, dict) and result.get("retcode") == 6:
            agent.signal(signal.SIGKILL)
            agent.wait()
            taken.set()
        return taken.is_set() and agent.process.poll() is not None

    server.loses = loses
    agent = start_agent()
    assert taken.wait(100)
    assert list((agent.data_dir / "spool").glob("*.json"))
    server.loses = lambda message: False
    start_agent()
    until(lambda: job.finished)
    assert [result["step"] for result in server.results(job)] == [0, 1]


def test_a_job_that_is_not_the_agents_any_more_gets_no_late_report(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    """Its time ran out while the agent was down, say, and the agent has another job by now."""
    gone = server.add_job(shell(f"{BEGUN}; exit 6"))
    _killed_with_a_result(server, start_agent, until)
    gone.finished = True
    job = server.add_job(shell("echo next"))
    server.start()
    start_agent()
    until(lambda: job.finished)
    assert server.results(gone) == []


def test_a_server_that_hangs_up_in_the_middle_is_asked_again(start_agent: StartAgent, until: Until) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        served = []

        head = b"HTTP/1.1 200 OK\r\nContent-Le"

        def serve() -> None:
            for answer in (b"", head, head + b"ngth: 9\r\n\r\n{", b"x"):
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()
                served.append(answer)

        threading.Thread(target=serve, daemon=True).start()
        agent = start_agent(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        until(lambda: len(served) == 4)
        assert agent.process.poll() is None
        assert "cut off" in agent.said()
