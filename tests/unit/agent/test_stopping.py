"""An agent that is told to stop between two steps of a job leaves the rest to the one that is started next."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from tests.unit.agent.conftest import RunningAgent, StartAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]
IsAlive = Callable[[int], bool]


def test_a_drain_that_ends_between_steps_leaves_the_job_to_the_next_agent(
    server: FakeServer, start_agent: StartAgent, until: Until, is_alive: IsAlive
) -> None:
    """The server is slow with the second step, and gives it when the agent has no time left."""
    daemon = "sleep 300 >/dev/null 2>&1 & echo pid $!"
    job = server.add_job({"cmd": f"{daemon}; echo first"}, {"cmd": "echo second"})
    agents: list[RunningAgent] = []

    def trouble(message: dict[str, Any]) -> None:
        if message["msg"] == "get-job-step" and server.results(job):
            server.trouble = lambda message: None
            agents[0].signal(signal.SIGTERM)
            until(lambda: "told to stop" in agents[0].said())

    server.trouble = trouble
    agents.append(start_agent(KRAKEN_AGENT_DRAIN_SECONDS="0"))
    assert agents[0].wait() == 0
    server.sink.settle()
    pid, *output = server.sink.output(job.id)
    assert output == ["first"]
    assert not is_alive(int(pid.split()[1]))
    assert [(result["step"], result["status"]) for result in server.results(job)] == [(0, "done")]
    start_agent()
    until(lambda: job.finished)
    assert [(result["step"], result["status"]) for result in server.results(job)] == [(0, "done"), (1, "done")]
