"""A host whose disk is filled: its agent takes no job and says so everywhere, and works again when there is room."""

from __future__ import annotations

import pytest

from tests.e2e.real_lab import LabOptions, RealLab
from tests.e2e.systemd_host import UNIT, SystemdHost
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

LAB = LabOptions("small-disk", "small-disk", hosts=1)
DATA = "/opt/kraken/data"


def test_an_agent_on_a_full_disk_takes_no_job_until_there_is_room(lab: RealLab) -> None:
    host = SystemdHost(lab)
    host.out(f"mkdir -p {DATA} && mount -t tmpfs -o size=96M tmpfs {DATA}")
    host.deploy(kraken_agent_min_free="48M")
    assert host.job("echo before").succeeded
    (record,) = host.client.agents()

    host.out(f"dd if=/dev/zero of={DATA}/filling bs=1M count=64 status=none")
    until(lambda: "takes no jobs" in host.property("StatusText"), otherwise="systemctl status says nothing")
    until(lambda: _no_jobs(host) != "", otherwise="the server was not told")
    assert _no_jobs(host).endswith("and the agent needs 48.0 MiB")

    def logged(words: str) -> bool:
        return any(words in one.message for one in host.client.logs(agent_id=record.id))

    until(lambda: logged("this agent takes no jobs: the disk of /opt/kraken/data has"), otherwise="no line of log")
    inventory = ["-i", str(lab.directory / "hosts.yml")]
    assert _without_room(lab, inventory) == 1
    (finding,) = [one for one in lab.asked("plan", *inventory)["findings"] if one["kind"] == "takes_no_jobs"]
    assert finding["severity"] == "error"

    waiting = host.start("echo after")
    polls = host.property("ExecMainStartTimestampMonotonic")
    seen = host.client.agents()[0].last_seen
    # The agent speaks to the server three times without taking the job that waits for it.
    for _ in range(3):
        before = seen
        until(lambda: host.client.agents()[0].last_seen != before, otherwise="the agent is silent")  # noqa: B023
        seen = host.client.agents()[0].last_seen
    assert not [job for job in host.client.run_jobs(waiting) if job.started or job.over]
    assert host.property("ExecMainStartTimestampMonotonic") == polls, "it is the same process"

    host.out(f"rm {DATA}/filling")
    assert host.finish(waiting).succeeded
    assert _no_jobs(host) == ""
    until(lambda: logged("this agent takes jobs again"), otherwise="no line of log")
    assert _without_room(lab, inventory) == 0
    assert host.property("StatusText") != ""
    assert "takes no jobs" not in host.out(f"systemctl status --no-pager {UNIT} | head -12")


def _no_jobs(host: SystemdHost) -> str:
    (agent,) = host.client.agents()
    return agent.host_info.no_jobs if agent.host_info else ""


def _without_room(lab: RealLab, inventory: list[str]) -> int:
    lines = lab.fleet("metrics", *inventory).splitlines()
    (line,) = [one for one in lines if one.startswith("kraken_fleet_agents_without_room ")]
    return int(float(line.split()[-1]))
