"""Shell steps: what a step's fields do, seen from the server."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.agent.conftest import StartAgent
from tests.unit.agent.fake_server import FakeJob, FakeServer

RunJob = Callable[..., FakeJob]


def shell(cmd: str, **fields: object) -> dict[str, object]:
    return {"cmd": cmd, **fields}


def test_output_reaches_the_log_with_its_context(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("echo one; echo two >&2"))
    record = next(record for record in server.sink.all() if record["message"] == "two")
    assert server.sink.output(job.id) == ["one", "two"]
    context = {"service": "agent", "job": 1, "step": 0, "tool": "shell", "branch": 4, "flow": 3, "run": 2, "agent": 7}
    assert context.items() <= record.items()
    assert {"@timestamp", "host", "path", "lineno", "level", "logger_name", "flow_kind"} <= record.keys()


def test_steps_are_reported_as_upstream_reports_them(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("true"), shell("exit 3"), shell("echo never"))
    assert server.results(job) == [
        {"step": 0, "status": "done", "duration": 1},
        {
            "step": 1,
            "status": "error",
            "reason": "retcode",
            "retcode": 3,
            "msg": "cmd exited with non-zero retcode: 3",
            "duration": 1,
        },
    ]


def test_that_a_step_runs_is_told_while_it_runs_unless_its_end_follows_at_once(
    run_job: RunJob, server: FakeServer
) -> None:
    job = run_job(shell("sleep 1"), *[shell("true")] * 3, shell("sleep 300", background=True))
    told = [(each["step"], each["status"]) for each in server.results(job, final=False)]
    assert told[:2] == [(0, "in-progress"), (0, "done")]
    assert told[-1] == (4, "done")
    # A busy machine makes a quick step slow; not every time.
    assert len(told) < 2 + 2 * 4


def test_steps_for_failures_run_after_a_failure(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("false"), shell("echo no"), shell("echo always", when="always"))
    assert server.sink.output(job.id) == ["always"]


def test_a_script_stops_at_its_first_failing_line(run_job: RunJob, server: FakeServer) -> None:
    job = run_job({"script": "echo ${BASH_VERSION:+bash}\nfalse\necho not reached\n"})
    assert "bash" in server.sink.output(job.id)
    assert "not reached" not in server.sink.output(job.id)
    assert server.results(job)[0]["retcode"] == 1


def test_a_script_runs_in_the_wanted_shell(run_job: RunJob, server: FakeServer) -> None:
    job = run_job({"script": "echo ${BASH_VERSION:-no bash}\n", "shell_exe": "/bin/sh"})
    assert "no bash" in server.sink.output(job.id)


def test_a_command_runs_in_the_wanted_shell(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("echo ${BASH_VERSION:+bash}", shell_exe="/bin/bash"))
    assert server.sink.output(job.id) == ["bash"]


def test_variables_of_branch_and_step_are_set_and_the_steps_win(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("echo $A $B $HOME", env={"B": "step", "N": 5}, branch_env={"A": "branch", "B": "branch"}))
    assert server.sink.output(job.id) == [f"branch step {os.environ['HOME']}"]


def test_the_provisioners_secrets_stay_with_the_agent(run_job: RunJob, server: FakeServer) -> None:
    agent = {"NOTIFY_SOCKET": "/nowhere", "KRAKEN_AGENT_NONCE_FILE": "/nowhere"}
    job = run_job(shell("env"), agent=agent)
    assert not [line for line in server.sink.output(job.id) if line.startswith(tuple(agent))]


def test_a_step_runs_in_the_jobs_directory_which_is_closed_to_others(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("pwd; stat -c %a .; mkdir deep"), shell("pwd", cwd="deep"), shell("pwd", cwd="/"))
    here, mode, deep, root = server.sink.output(job.id)
    assert (here.endswith(f"/jobs/{job.id}"), mode, deep, root) == (True, "700", f"{here}/deep", "/")


def test_a_directory_that_is_not_there_is_said(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("pwd", cwd="missing"))
    result = server.results(job)[0]
    assert result["status"] == "error"
    assert result["msg"].endswith("missing: No such file or directory")
    assert server.sink.output(job.id) == [result["msg"]]


def test_a_shell_that_is_not_there_is_said(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("true", shell_exe="/bin/nosuchshell"))
    assert "cannot start /bin/nosuchshell" in server.results(job)[0]["msg"]


def test_a_step_without_anything_to_run_is_an_error(run_job: RunJob, server: FakeServer) -> None:
    job = run_job({"name": "empty"})
    assert "neither cmd nor script" in server.results(job)[0]["msg"]


def test_a_step_that_runs_too_long_is_ended(run_job: RunJob, server: FakeServer) -> None:
    began = time.monotonic()
    job = run_job(shell("echo begun; sleep 60", timeout=1))
    assert time.monotonic() - began < 50
    assert server.results(job)[0]["reason"] == "step-timeout"
    assert server.sink.output(job.id) == ["begun"]


def test_the_job_deadline_ends_a_step(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("sleep 60"), timeout=2)
    assert server.results(job)[0]["reason"] == "job-timeout"


def test_attempts_are_repeated_until_one_succeeds(run_job: RunJob, server: FakeServer) -> None:
    count = "echo try; echo x >> tries; test $(wc -l < tries) -ge 3"
    job = run_job(shell(count, attempts=5, sleep_time_after_attempt=0.1))
    assert server.sink.output(job.id) == ["try"] * 3
    assert [result["status"] for result in server.results(job)] == ["done"]


def test_the_last_failed_attempt_is_the_result(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("exit 9", attempts=2))
    assert [result["retcode"] for result in server.results(job)] == [9]


def test_a_background_step_lives_until_the_job_is_over(
    run_job: RunJob, server: FakeServer, until: Callable[..., None], is_alive: Callable[[int], bool]
) -> None:
    step = "trap 'echo ended' TERM; echo serving; echo $$ > new; mv new pid; sleep 60 & wait"
    look = "until [ -e pid ]; do sleep 0.1; done; kill -0 $(cat pid) && echo it lives; cat pid"
    job = run_job(shell(step, background=True), shell(look))
    output = server.sink.output(job.id)
    assert "it lives" in output
    assert "serving" in output
    until(lambda: not is_alive(next(int(line) for line in output if line.isdigit())))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else without being asked")
def test_a_step_runs_as_the_wanted_user(run_job: RunJob, server: FakeServer) -> None:
    steps = [shell("id -un; echo $HOME", user="nobody"), {"script": "id -un\n", "user": "nobody"}]
    job = run_job(*steps, shell("id -un", user=getpass.getuser()))
    output = server.sink.output(job.id)
    assert output[0] == "nobody"
    assert output[1] != os.environ["HOME"]
    assert "nobody" in output[2:]
    assert output[-1] == getpass.getuser()


def test_an_unknown_user_is_said(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("true", user="no-such-user"))
    assert "no-such-user" in server.results(job)[0]["msg"]


def test_secrets_are_masked_even_when_cut_across_two_reads(run_job: RunJob, server: FakeServer) -> None:
    command = "printf 'a token-'; sleep 0.3; printf 'of-gold b\\n'; echo plain token-of-gold; printf 'end token-of'"
    job = run_job(shell(command), secrets=["token-of-gold"])
    assert server.sink.output(job.id) == ["a ****** b", "plain ******", "end token-of"]


def test_secrets_are_masked_in_results_and_the_agents_own_log(run_job: RunJob, server: FakeServer) -> None:
    job = run_job(shell("true", cwd="token-of-gold"), secrets=["token-of-gold"])
    assert "******" in server.results(job)[0]["msg"]
    assert not [data for data in server.sink.raw if b"token-of-gold" in data]


def test_a_key_is_there_for_ssh_and_masked(
    run_job: RunJob, server: FakeServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import subprocess

    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the-key", "-f", str(path)], check=True)
    key = path.read_text()
    step = shell("ssh-add -l; cat $K", env={"K": str(path)}, **{"ssh-key": {"username": "git", "key": key}})
    job = run_job(step)
    output = server.sink.output(job.id)
    assert any("the-key" in line for line in output)
    assert not any(line in output for line in key.splitlines()[1:-1])


def _cpu_seconds(pid: int) -> float:
    """What a process has used by itself: fields 14 and 15 of /proc/PID/stat (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_one_step_costs_the_agent_less_than_50_ms_of_cpu(
    server: FakeServer, start_agent: StartAgent, until: Callable[..., None]
) -> None:
    agent = start_agent()
    until(lambda: server.said("get-job"))
    before, began = _cpu_seconds(agent.pid), time.monotonic()
    job = server.add_job(*[shell("true") for _ in range(20)])
    until(lambda: job.finished)
    assert len(server.results(job)) == 20
    # Generous: it imports what runs jobs, and starts 20 processes; bench/agent.py measures.
    assert (_cpu_seconds(agent.pid) - before) / 20 < 0.05
    assert (time.monotonic() - began) / 20 < 1.0, "no pause of its own, however busy the machine is"
