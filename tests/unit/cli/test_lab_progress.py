"""What people see while a lab works."""

from __future__ import annotations

import pytest

from kraken_fleet.cli import output
from kraken_fleet.cli.lab_progress import LabProgress
from kraken_fleet.lab import AgentsReady, Deployed, JobVerified, LabEvents, OutputLine, StepDone, StepStarted
from kraken_fleet.model import Agent, Deploy, GroupRef, HostResult, Job


@pytest.fixture(autouse=True)
def _fresh_console() -> None:
    output.console.cache_clear()


CHANGES = ("make directory /opt/kraken", "write kraken.env", "start agent", "authorized", "groups +build")


def _events(changed: int = 2) -> LabEvents:
    result = HostResult(ok=5, changed=changed, changes=CHANGES if changed else ())
    yield StepStarted("Kraken server")
    yield StepDone("Kraken server", "http://127.0.0.1:1", 1.25)
    yield OutputLine("TASK [agent : Converge] ***", task="Converge")
    yield OutputLine("changed: [build-1]")
    yield Deployed(Deploy("deploy-agents.yml", "2026-01-01", 3.0, hosts={"build-1": result}))
    yield AgentsReady({"build-1": Agent(1, "a", "127.0.0.11", authorized=True, groups=(GroupRef(2, "build"),))})
    yield JobVerified("build-1", ("build",), Job(7, "proof", 5, completion_status=0), "hello")


def test_each_thing_that_is_done_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    LabProgress(quiet=False, verbose=False).follow(_events())
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [" ".join(line.split()) for line in shown.err.splitlines() if line.strip()]
    assert lines[0] == "✔ Kraken server http://127.0.0.1:1 1.2 s"
    assert lines[1].startswith("✔ Converge")
    assert lines[2] == "✔ build-1 write kraken.env, start agent, authorized, groups +build"
    assert lines[3] == "✔ agent 127.0.0.11 on build-1 authorized, in build"
    assert lines[4] == "✔ job 7 on build-1 is done, and its log has come log: hello"


def test_verbose_shows_what_ansible_prints(capsys: pytest.CaptureFixture[str]) -> None:
    LabProgress(quiet=False, verbose=True).follow(_events())
    assert "changed: [build-1]" in capsys.readouterr().err


def test_quiet_shows_nothing_and_keeps_all(capsys: pytest.CaptureFixture[str]) -> None:
    seen = LabProgress(quiet=True, verbose=False).follow(_events())
    assert capsys.readouterr() == ("", "")
    assert [proof.groups for proof in seen.verified] == [("build",)]
    assert set(seen.agents) == {"build-1"}
    assert seen.changes == "build-1: 2"


def test_a_deploy_that_changed_nothing_or_left_no_record_is_told_apart() -> None:
    progress = LabProgress(quiet=True, verbose=False)
    assert progress.follow(_events(changed=0)).changes == ""
    assert progress.follow(event for event in _events() if event is None).changes == "the deploy left no record"


def test_hosts_are_told_with_what_was_changed_or_why_they_failed(capsys: pytest.CaptureFixture[str]) -> None:
    hosts = {
        "same": HostResult(ok=5),
        "much": HostResult(ok=5, changed=1, changes=tuple("abcdefg")),
        "bad": HostResult(failed=1, message="no disk"),
    }
    events = (event for event in [Deployed(Deploy("deploy-agents.yml", "2026-01-01", 3.0, hosts=hosts))])
    LabProgress(quiet=False, verbose=False).follow(events)
    lines = [line.strip() for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines == ["✔ same  nothing to change", "✔ much  c, d, e, f, g and 2 more", "✔ bad  failed: no disk"]


def test_a_task_that_all_hosts_skip_is_not_told_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    printed = [
        "TASK [a : Windows] ***",
        "skipping: [build-1]",
        "TASK [a : Linux] ***",
        "ok: [build-1]",
        "PLAY RECAP ***",
    ]
    events = (OutputLine(line, task=line.split(" : ")[1].split("]")[0] if " : " in line else None) for line in printed)
    deployed = (Deployed(Deploy("deploy-agents.yml", "2026-01-01", 3.0, hosts={"build-1": HostResult(ok=1)})),)
    LabProgress(quiet=False, verbose=False).follow(event for part in (events, deployed) for event in part)
    lines = [line.split()[1] for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines == ["Linux", "build-1"]
