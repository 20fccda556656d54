"""User data with kraken_agent_one_job: a machine without SSH whose agent is a fresh one for each job."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.real_lab import LabOptions, RealLab
from tests.e2e.systemd_host import GROUP, SystemdHost
from tests.e2e.user_data import await_discovered, start_with
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

LAB = LabOptions("cloud-fresh", "cloud-fresh", hosts=1)
PLACES = "$HOME $HOME/.. /tmp /var/tmp /dev/shm /run/lock"
LOOK = f"ls -AR {PLACES} | grep -x left; pgrep -fx 'sleep 987'; echo looked at $HOME"
LEAVE = f"for place in {PLACES}; do touch $place/left; done; setsid sleep 987 >/dev/null 2>&1 &"


def test_an_agent_of_user_data_is_a_fresh_one_for_each_of_three_jobs(
    lab: RealLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (address,) = lab.addresses()
    variables = ["-e", "kraken_agent_one_job=true", "-e", f'{{"kraken_agent_groups": ["{GROUP}"]}}']
    inventory = ["-i", str(lab.directory / "hosts.yml"), *variables]
    (name,) = [each["host"]["name"] for each in lab.asked("lab", "status", *lab.named())["hosts"]]
    script = lab.fleet("cloud-init", *inventory, name)
    start_with(lab, name, script)
    await_discovered(lab, address)
    lab.fleet("apply", *inventory)

    host = SystemdHost(lab)
    assert "HOME=/opt/kraken/data/home" in host.out("cat /opt/kraken/kraken.env").splitlines()
    (record,) = host.client.agents()
    agents: set[int] = set()
    for _ in range(3):
        until(lambda: host.await_agent() not in {0, *agents}, otherwise="no fresh agent was started")
        agents.add(host.await_agent())
        job = host.job(LOOK, LEAVE)
        assert job.succeeded
        lines = host.printed(job, "looked at")
        assert "left" not in lines
        assert not [line for line in lines if line.isdigit()], "a process of an earlier job lives"
        assert "looked at /opt/kraken/data/home" in lines
    assert len(agents) == 3
    (afterwards,) = host.client.agents()
    assert (afterwards.id, afterwards.authorized) == (record.id, True)
