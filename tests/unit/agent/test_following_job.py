"""The end of a job whose answer was lost: the server may have given the agent its next one by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.agent.conftest import StartAgent
from tests.unit.agent.fake_server import FakeServer


def test_a_step_of_the_next_job_is_not_run_in_the_one_that_is_over(
    server: FakeServer, start_agent: StartAgent, until: Callable[..., None]
) -> None:
    """Asked again for a step of the first job, the server answers with one of the second."""
    first, second = (server.add_job({"cmd": f"echo {word} in job $(basename $PWD)"}) for word in ("first", "second"))
    lost: list[dict[str, Any]] = []

    def loses(message: dict[str, Any]) -> bool:
        if message["msg"] != "get-job-step" or not first.finished or lost:
            return False
        lost.append(message)
        return True

    server.loses = loses
    start_agent()
    until(lambda: second.finished)
    server.sink.settle()
    printed = [line for line in server.sink.output() if " in job " in line]
    assert printed == ["first in job 1", "second in job 2"]
    for job in (first, second):
        assert [(result["step"], result["status"]) for result in server.results(job)] == [(0, "done")]
