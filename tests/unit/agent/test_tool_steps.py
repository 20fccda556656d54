"""Steps of other tools: built in, and users' own; run in a fork of the agent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.unit.agent.fake_server import FakeJob, FakeServer

RunJob = Callable[..., FakeJob]


def test_tests_are_collected_dispatched_run_and_reported(run_job: RunJob, server: FakeServer) -> None:
    job = run_job({"tool": "rndtest", "count": 5})
    tests = server.said("dispatch-tests")[0]["tests"]
    results = server.results(job, final=False)
    reported = [result["test"] for message in results for result in message.get("test-results", [])]
    assert len(tests) == 5
    assert sorted(reported) == sorted(tests)
    assert {message["status"] for message in results[:-1]} == {"in-progress"}
    assert results[-1]["status"] == "done"
    assert all(message["duration"] >= 1 for message in results if "test-results" in message)


def _tool(directory: Path, name: str, code: str) -> dict[str, object]:
    directory.mkdir(exist_ok=True)
    (directory / f"kraken_{name}.py").write_text(code)
    return {"KRAKEN_TOOLS_DIRS": str(directory)}


def test_users_own_tools_run_with_upstreams_convention(run_job: RunJob, server: FakeServer, tmp_path: Path) -> None:
    code = (
        "import os\ndef run(step, **kwargs):\n    print('mine', step['word'], os.environ['B'])\n    return 7, 'sorry'\n"
    )
    agent = _tool(tmp_path / "tools", "mine", code)
    job = run_job({"tool": "mine", "word": "hello", "branch_env": {"B": "branch"}}, agent=agent)
    assert server.sink.output(job.id) == ["mine hello branch"]
    result = server.results(job)[0]
    assert (result["reason"], result["retcode"], result["msg"]) == ("retcode", 7, "sorry")


def test_tools_have_the_agents_environment_but_not_its_secrets(
    run_job: RunJob, server: FakeServer, tmp_path: Path
) -> None:
    code = "import os\ndef run(step):\n    print(os.environ['PATH'], 'NOTIFY_SOCKET' in os.environ)\n    return 0, ''\n"
    agent = {**_tool(tmp_path / "tools", "env", code), "NOTIFY_SOCKET": "/nowhere"}
    job = run_job({"tool": "env"}, agent=agent)
    assert server.sink.output(job.id) == [f"{os.environ['PATH']} False"]


def test_partial_results_arrive_while_the_tool_runs(run_job: RunJob, server: FakeServer, tmp_path: Path) -> None:
    code = (
        "import time\n"
        "def run_data(step, report_data=None):\n"
        "    report_data({'first': 1})\n"
        "    time.sleep(1)\n"
        "    report_data({'second': 2})\n"
        "    return 0, ''\n"
    )
    job = run_job({"tool": "slow"}, agent=_tool(tmp_path / "tools", "slow", code))
    reports = [message for message in server.said("step-result2") if "data" in message["result"]]
    assert [message["result"]["data"] for message in reports] == [{"first": 1}, {"second": 2}]
    assert reports[1]["at"] - reports[0]["at"] > 0.7
    assert server.results(job)[0]["status"] == "done"


def test_a_tool_that_crashes_fails_its_step_and_not_the_agent(
    run_job: RunJob, server: FakeServer, tmp_path: Path
) -> None:
    agent = _tool(
        tmp_path / "tools", "bad", "import os, signal\ndef run(step):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    job = run_job({"tool": "bad"}, {"cmd": "echo lives", "when": "always"}, agent=agent)
    assert "without saying how it went" in server.results(job)[0]["msg"]
    assert server.sink.output(job.id)[-1] == "lives"


def test_an_exception_in_a_tool_is_its_result(run_job: RunJob, server: FakeServer, tmp_path: Path) -> None:
    agent = _tool(tmp_path / "tools", "raising", "def run(step):\n    raise RuntimeError('token-of-gold is bad')\n")
    job = run_job({"tool": "raising"}, agent=agent, secrets=["token-of-gold"])
    result = server.results(job)[0]
    assert result["reason"] == "exception"
    assert "****** is bad" in result["msg"]
    assert not [data for data in server.sink.raw if b"token-of-gold" in data]


def test_a_tool_that_is_not_there_is_said(run_job: RunJob, server: FakeServer) -> None:
    job = run_job({"tool": "nowhere"})
    assert "there is no tool 'nowhere'" in server.results(job)[0]["msg"]


def test_a_tool_is_ended_with_the_job(run_job: RunJob, server: FakeServer, tmp_path: Path) -> None:
    agent = _tool(tmp_path / "tools", "long", "import time\ndef run(step):\n    time.sleep(100)\n")
    began = time.monotonic()
    job = run_job({"tool": "long"}, agent=agent, timeout=3)
    assert server.results(job)[0]["reason"] == "job-timeout"
    assert time.monotonic() - began < 60


def test_an_executor_that_is_not_there_is_said(run_job: RunJob, server: FakeServer) -> None:
    job = run_job({"cmd": "true"}, executor="teleport")
    assert "no executor 'teleport'" in server.results(job)[0]["msg"]
