"""A day of whoever runs a fleet: eight systemd hosts with agents of the unmodified Kraken server.

Prometheus scrapes, a watch writes to a web hook and to a mail address. An agent is killed, a disk is filled, an agent
is drained for two minutes, an ephemeral agent runs three jobs; and the audit log tells of all that was changed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.model import Job
from tests.e2e.operator_day import Desk, describe, desk, inventory, keep_records, variables_of
from tests.e2e.real_lab import LabOptions, RealLab
from tests.stages import shell_job, stage_code
from tests.unique_names import unique_name
from tests.waiting import eventually, until

HOSTS = 8
LAB = LabOptions("day", "day", HOSTS, server="krakenci")
pytestmark = [
    pytest.mark.docker,
    pytest.mark.real_server,
    pytest.mark.prometheus,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
KILLED, DRAINED, FULL, FRESH = "build-1", "build-2", "test-3", "build-4"
SMALL, EPHEMERAL = "small-disk", "ephemeral"
NOTE = "a new disk"
# A disk of its own, so that a test can fill it.
DISK = "mkdir -p /opt/kraken/data && mount -t tmpfs -o size=96M tmpfs /opt/kraken/data"
DESCRIBED: dict[str, dict[str, object]] = {
    FULL: {"kraken_agent_min_free": "48M", "kraken_agent_groups": [SMALL]},
    FRESH: {"kraken_agent_one_job": True, "kraken_agent_groups": [EPHEMERAL]},
}
LOOK = "test ! -e $HOME/left && test ! -e /tmp/left && touch $HOME/left /tmp/left && echo fresh"


def test_an_operators_day(lab: RealLab, tmp_path: Path) -> None:
    audit = keep_records(lab)
    lab.on_hosts(DISK, FULL)
    describe(lab, DESCRIBED)
    deployed = lab.play("deploy-agents.yml", "-e", "kraken_verify_enabled=false")
    assert deployed.code == 0, deployed.output
    with desk(lab, tmp_path) as day:
        day.measured(f'kraken_fleet_agents{{state="idle"}} == {HOSTS}')
        day.measured("kraken_fleet_drift == 0")
        drain(day)
        kill_an_agent(day)
        fill_a_disk(day)
        run_three_jobs_on_the_ephemeral_agent(day)
        await_the_drained_agent(day)
    read_the_audit_log(audit, lab)


def drain(day: Desk) -> None:
    """Take an agent out for two minutes."""
    words = ("agents", "drain", DRAINED, "-i", str(inventory(day.lab)), "--note", NOTE, "--until", "2min")
    (answer,) = day.lab.asked(*words, "--wait", "60")
    assert answer["state"] == "drained"
    assert not day.agent(DRAINED).enabled
    day.measured('kraken_fleet_agents{state="disabled"} == 1')
    listed = day.lab.asked("agents", "list", "-i", str(inventory(day.lab)))
    assert [one["disabling"]["note"] for one in listed if one["host"] == DRAINED] == [NOTE]


def kill_an_agent(day: Desk) -> None:
    """A host is switched off, so that nothing starts the agent again; then it is back."""
    container = day.lab.container(KILLED)
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)
    alert = f'ALERTS{{alertname="KrakenAgentSilent",alertstate="firing",name="{KILLED}"}}'
    day.told("Silent agents", f"- {KILLED}: ")
    day.measured(alert)
    subprocess.run(["docker", "start", container], check=True, capture_output=True)
    day.told("Over", f"- {KILLED}, after ")
    until(lambda: not day.has(alert), otherwise="the alert does not end")


def fill_a_disk(day: Desk) -> None:
    """The agent takes no job while its disk is full; then the job that came meanwhile is run."""
    day.lab.on_hosts("dd if=/dev/zero of=/opt/kraken/data/filling bs=1M count=64", FULL)
    day.told("Disks nearly full", f"- {FULL}: ", "takes no jobs")
    day.measured("kraken_fleet_agents_without_room == 1")
    run = start(day, SMALL, "echo there is room")
    day.measured('ALERTS{alertname="KrakenAgentsWithoutRoom",alertstate="firing"}')
    assert not any(job.over or job.started for job in day.client.run_jobs(run))
    day.lab.on_hosts("rm /opt/kraken/data/filling", FULL)
    (job,) = over(day, run)
    assert job.succeeded
    day.told("Over", f"- {FULL}, after ")


def run_three_jobs_on_the_ephemeral_agent(day: Desk) -> None:
    """Each job meets an agent that knows nothing of the one before."""
    run = start(day, EPHEMERAL, LOOK, jobs=3)
    jobs = over(day, run)
    assert [job.succeeded for job in jobs] == [True, True, True], jobs
    assert {job.agent_id for job in jobs} == {day.agent(FRESH).id}
    (restarts,) = day.lab.on_hosts("systemctl show -P NRestarts kraken-agent", FRESH).values()
    assert int(restarts) >= 3


def await_the_drained_agent(day: Desk) -> None:
    """The watch gives it back, and says so."""
    until(lambda: day.agent(DRAINED).enabled, seconds=150, otherwise="the agent was not given back")
    assert day.agent(DRAINED).disabling is None
    day.told("1 enabled again", DRAINED, NOTE)
    day.measured(f'kraken_fleet_agents{{state="idle"}} == {HOSTS}')


def read_the_audit_log(audit: Path, lab: RealLab) -> None:
    """Who changed what, by which program, and with which result."""
    records = [json.loads(line) for line in audit.read_text().splitlines()]
    addresses = {host: str(one["kraken_agent_address"]) for host, one in variables_of(lab).items()}
    assert {one["result"] for one in records} == {"ok"}

    def targets(program: str, action: str) -> set[str]:
        chosen = (one for one in records if (one["program"], one["action"]) == (program, action))
        return {target for one in chosen for target in one["targets"]}

    deploy = "ansible-playbook deploy-agents.yml"
    assert targets(deploy, "authorize agents") == set(addresses.values())
    assert targets(deploy, "create group") >= {"build", "test", SMALL, EPHEMERAL}
    assert targets("kraken-fleet agents drain", "disable agent") == {addresses[DRAINED]}
    assert targets("kraken-fleet watch", "enable agent") == {addresses[DRAINED]}
    assert [one["account"] for one in records if one["action"] == "scrape"] == ["admin"], (
        "a scrape is written down once"
    )


def start(day: Desk, group: str, command: str, jobs: int = 1) -> int:
    """Start jobs of a shell command; the number of their run."""
    project = day.client.create_project(unique_name("day"))
    branch = day.client.create_branch(project.id, "main")
    described: list[dict[str, Any]] = [shell_job(group, command, name=f"job-{number}") for number in range(jobs)]
    day.client.create_stage(branch.id, "day", stage_code(*described))
    flow = day.client.start_flow(branch.id)
    return (flow.runs or day.client.flow_runs(flow.id))[0].id


def over(day: Desk, run: int) -> list[Job]:
    """The jobs of a run when they are over."""
    found = eventually(lambda: day.client.run_jobs(run), lambda jobs: jobs and all(job.over for job in jobs))
    return list(found)
