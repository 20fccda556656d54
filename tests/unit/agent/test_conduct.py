"""What the agent does when steps, hosts and people behave badly."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.agent.conftest import AGENT_SOURCE, StartAgent
from tests.unit.agent.fake_server import FakeJob, FakeServer

RunJob = Callable[..., FakeJob]
Until = Callable[..., None]
IsAlive = Callable[[int], bool]


def shell(cmd: str, **fields: object) -> dict[str, object]:
    return {"cmd": cmd, **fields}


def pids(server: FakeServer) -> list[int]:
    return [int(line.split()[1]) for line in server.sink.output() if line.startswith("pid ")]


def test_cancel_ends_the_whole_group(
    server: FakeServer, start_agent: StartAgent, until: Until, is_alive: IsAlive
) -> None:
    job = server.add_job(shell("sh -c 'echo pid $$; sleep 300' & echo pid $$; wait", timeout=200), shell("echo no"))
    start_agent()
    until(lambda: len(pids(server)) == 2)
    job.cancelled = True
    until(lambda: job.finished)
    until(lambda: not any(is_alive(pid) for pid in pids(server)))
    assert server.results(job) == []
    until(lambda: server.messages[-1]["msg"] == "get-job")


def test_a_daemon_that_a_step_leaves_is_ended_with_the_job(
    run_job: RunJob, server: FakeServer, until: Until, is_alive: IsAlive
) -> None:
    daemon = "(setsid sh -c 'echo pid $$; trap \"\" TERM HUP; sleep 300' &) ; sleep 0.2"
    job = run_job(shell(daemon), shell("echo next"))
    assert "next" in server.sink.output(job.id)
    until(lambda: pids(server) and not is_alive(pids(server)[0]))


def test_a_daemon_that_holds_the_output_does_not_hold_the_step(run_job: RunJob, server: FakeServer) -> None:
    began = time.monotonic()
    job = run_job(shell("sleep 119 & echo started"), shell("echo next"))
    assert time.monotonic() - began < 60
    assert server.sink.output(job.id) == ["started", "next"]


def test_a_step_that_ignores_sigterm_is_killed(
    run_job: RunJob, server: FakeServer, until: Until, is_alive: IsAlive
) -> None:
    job = run_job(shell("trap '' TERM; echo pid $$; while :; do sleep 1; done", timeout=1))
    assert server.results(job)[0]["reason"] == "step-timeout"
    until(lambda: not is_alive(pids(server)[0]))


def test_a_step_that_closes_its_output_runs_on(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("exec >&- 2>&-; sleep 1; touch it-ran; exit 4"), shell("ls", when="always"))
    assert server.results(job)[0]["retcode"] == 4
    assert "it-ran" in server.sink.output(job.id)


def test_a_step_that_prints_nothing_is_kept_alive(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job(shell("sleep 15", timeout=100))
    start_agent()
    until(lambda: server.results(job))
    assert server.results(job)[0]["status"] == "done"
    assert len(server.said("keep-alive")) == 1


# Makes every second of the agent's last 1/60 of one: its clock runs faster, and it waits as much shorter.
FAST = """\
import select, time
_real, _poll, _begin = time.monotonic, select.poll, time.monotonic()
time.monotonic = lambda: _begin + 60 * (_real() - _begin)

class poll:
    def __init__(self):
        self._poll = _poll()
        self.register, self.unregister = self._poll.register, self._poll.unregister

    def poll(self, milliseconds):
        return self._poll.poll(milliseconds / 60)

select.poll = poll
"""


@pytest.mark.slow
def test_a_step_that_prints_nothing_for_an_hour_is_let_be(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAST)
    job = server.add_job(shell("sleep 62", timeout=20000), timeout=30000)
    start_agent(PYTHONPATH=f"{tmp_path}:{AGENT_SOURCE}")
    until(lambda: server.results(job))
    (result,) = server.results(job)
    assert result["status"] == "done"
    assert result["duration"] >= 3600
    assert len(server.said("keep-alive")) >= 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_gigabyte_of_output_neither_fills_the_memory_nor_ends_the_step(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    """The step's own time, two minutes, stands still while it waits for the log, which has its pace.

    So the test lasts three minutes; of the processor's time it and the agent take some twenty seconds.
    """
    server.sink.keep = False
    step = shell("yes 0123456789012345678901234567890123456789 | head -c 1000000000", timeout=120)
    job = server.add_job(step, timeout=5000)
    agent = start_agent()
    peak = 0

    def done() -> bool:
        nonlocal peak
        status = Path(f"/proc/{agent.pid}/status").read_text()
        peak = max(peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")))
        return job.finished

    until(done, 800)
    assert server.results(job)[0]["status"] == "done", server.results(job)
    assert server.sink.bytes > 900_000_000
    assert peak < 100_000, f"{peak} KiB"


def test_a_step_without_line_ends_does_not_fill_the_memory(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("head -c 3000000 /dev/zero | tr '\\0' x"))
    lines = server.sink.output(job.id)
    longest = 65507
    # What the kernel counts was sent; the receiver, a thread of this test, got no time for it.
    missing = 3_000_000 - sum(map(len, lines))
    assert 0 <= missing <= server.sink.dropped() * longest
    assert max(map(len, server.sink.raw)) < longest


def test_a_step_that_runs_out_of_memory_fails_and_the_agent_lives(run_job: RunJob, server: FakeServer) -> None:
    """The kernel's killer takes the step before the agent, and it looks like this."""
    job = run_job(shell("cat /proc/self/oom_score_adj; kill -KILL $$"), shell("echo lives", when="always"))
    assert server.sink.output(job.id) == ["500", "lives"]
    assert server.results(job)[0]["retcode"] == -9


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="mounts a small file system")
def test_a_full_disk_costs_no_result(server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(small)], check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        job = server.add_job(shell("dd if=/dev/zero of=fill bs=1k; exit 5"))
        agent = start_agent(data="small", KRAKEN_AGENT_MIN_FREE="0")
        until(lambda: job.finished)
        assert server.results(job)[0]["retcode"] == 5
        assert "only in memory" in agent.said()
        agent.stop()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_sigterm_lets_the_job_end(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job(shell("echo begun; sleep 2; echo ended"), shell("echo and the next"))
    agent = start_agent(KRAKEN_AGENT_DRAIN_SECONDS="30")
    until(lambda: server.sink.output())
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    server.sink.settle()
    assert server.sink.output(job.id) == ["begun", "ended", "and the next"]
    assert job.finished


def test_a_drain_that_takes_too_long_ends_the_step_and_reports_it(
    server: FakeServer, start_agent: StartAgent, until: Until, is_alive: IsAlive
) -> None:
    job = server.add_job(shell("echo pid $$; sleep 100", timeout=200), shell("echo no"))
    agent = start_agent(KRAKEN_AGENT_DRAIN_SECONDS="1")
    until(lambda: pids(server))
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert "agent was stopped" in server.results(job)[0]["msg"]
    assert job.finished
    assert not is_alive(pids(server)[0])


def test_a_second_sigterm_ends_the_job_now(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job(shell("echo pid $$; sleep 100", timeout=200))
    agent = start_agent(KRAKEN_AGENT_DRAIN_SECONDS="500")
    until(lambda: pids(server))
    agent.signal(signal.SIGTERM)
    until(lambda: "told to stop" in agent.said())
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert server.results(job)[0]["status"] == "error"


def test_an_idle_agent_stops_at_once(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    agent = start_agent(KRAKEN_AGENT_DRAIN_SECONDS="500")
    until(lambda: server.said("get-job"))
    began = time.monotonic()
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert time.monotonic() - began < 30


def test_an_agent_without_a_server_stops_at_once(start_agent: StartAgent, until: Until, server: FakeServer) -> None:
    server.stop()
    agent = start_agent()
    until(lambda: "trying again" in agent.said())
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0


def test_the_server_is_told_of_a_clock_that_is_not_its_own(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    def told() -> list[object]:
        return [one["info"].get("kraken_fleet_clock_ahead") for one in server.said("host-info")]

    server.clock_behind = 95
    start_agent()
    until(lambda: told()[-1:] != [] and told()[-1] is not None)
    assert told()[-1] in range(93, 98)


def test_one_job_is_one_job(server: FakeServer, start_agent: StartAgent) -> None:
    first, second = server.add_job(shell("echo first")), server.add_job(shell("echo second"))
    assert start_agent("--one-job").wait() == 0
    assert first.finished
    assert not second.finished


def test_a_killed_agents_steps_are_ended_before_the_job_runs_again(
    server: FakeServer, start_agent: StartAgent, until: Until, is_alive: IsAlive
) -> None:
    job = server.add_job(shell("echo pid $$; test -e again && exit; touch again; trap '' TERM; sleep 100; true"))
    agent = start_agent()
    until(lambda: len(pids(server)) == 1)
    agent.signal(signal.SIGKILL)
    agent.wait()
    left = pids(server)[0]
    assert is_alive(left)
    start_agent()
    until(lambda: job.finished)
    assert not is_alive(left)
    assert len(pids(server)) == 2


def test_old_job_directories_are_removed(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    jobs = [server.add_job(shell("true")) for _ in range(13)]
    agent = start_agent()
    until(lambda: jobs[-1].finished)
    directory = agent.data_dir / "jobs"
    until(lambda: len(list(directory.iterdir())) == 10)
    assert (directory / "13").is_dir()
    assert not (directory / "1").exists()


def test_a_clock_that_jumps_moves_neither_deadlines_nor_the_logs_order(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path
) -> None:
    """Every reading of the agent's wall clock is a day off the one before."""
    jumping = "import itertools, time\n_real, _days = time.time, itertools.cycle((0, 86400, -86400))\n"
    (tmp_path / "sitecustomize.py").write_text(jumping + "time.time = lambda: _real() + next(_days)\n")
    job = server.add_job(shell("seq 1 20; sleep 1; seq 21 40"), shell("sleep 110", timeout=1))
    start_agent(PYTHONPATH=f"{tmp_path}:{AGENT_SOURCE}")
    until(lambda: job.finished)
    assert [result["status"] for result in server.results(job)] == ["done", "error"]
    times = [record["@timestamp"] for record in server.sink.all() if record.get("tool")]
    assert times == sorted(times)
