"""KRAKEN_AGENT_UPDATE=server under a real systemd, which ends all of a service with its main process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.systemd_host import UNIT, SystemdHost

# pytest's importlib mode gives tests no package: helpers are found through the path.
from tests.unit.agent.fake_server import FakeServer, fake_server
from tests.unit.agent.releases import liar, own_release
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def host(systemd_host: SystemdHost) -> SystemdHost:
    systemd_host.deploy(kraken_agent_update="server")
    return systemd_host


@pytest.fixture
def server(host: SystemdHost) -> Iterator[FakeServer]:
    """A server that offers agents of any kind, and the host's agent as its agent."""
    with fake_server() as running:
        address = running.url.replace("127.0.0.1", host.gateway())
        host.out(f"sed -i 's|^KRAKEN_SERVER_ADDR=.*|KRAKEN_SERVER_ADDR={address}|' /opt/kraken/kraken.env")
        host.out(f"systemctl restart {UNIT}")
        until(lambda: running.said("get-job"), otherwise="the agent does not ask this server")
        yield running


def vouch(host: SystemdHost, files: dict[str, bytes]) -> None:
    """Name the sums of files to the agent: the way to the server is plain http."""
    sums = " ".join(hashlib.sha256(content).hexdigest() for content in files.values())
    line = f'KRAKEN_AGENT_UPDATE_SHA256="{sums}"'
    host.out(f"sed -i '/^KRAKEN_AGENT_UPDATE_SHA256=/d' /opt/kraken/kraken.env; echo '{line}' >>/opt/kraken/kraken.env")
    host.out(f"systemctl restart {UNIT}")


def current(host: SystemdHost) -> str:
    return host.out("readlink /opt/kraken/current")


def test_a_version_that_dies_at_once_gives_way_and_is_not_tried_again(host: SystemdHost, server: FakeServer) -> None:
    before = current(host)
    files = {"/install/agent": liar("sys.exit('no good')"), "/install/tool": liar("")}
    vouch(host, files)
    server.version, server.files = "9", files
    until(lambda: host.property("NRestarts") != "0", otherwise="the new version was not tried")
    job = server.add_job({"cmd": "echo back"})
    until(lambda: job.finished, otherwise="the old version is not back")
    assert current(host) == before
    assert '"failed"' in host.out("cat /opt/kraken/data/update.json")
    assert "no good" in host.out(f"journalctl -u {UNIT}")
    tried = host.out(f"journalctl -u {UNIT} | grep -c 'restarting as'")
    asked = len(server.said("get-job"))
    until(lambda: len(server.said("get-job")) > asked + 2, otherwise="the agent does not ask for jobs")
    assert host.out(f"journalctl -u {UNIT} | grep -c 'restarting as'") == tried


def test_a_good_version_takes_over_between_jobs_in_the_same_process(
    host: SystemdHost, server: FakeServer, tmp_path: Path
) -> None:
    files = own_release(tmp_path, "2")
    vouch(host, files)
    before = host.await_agent()
    job = server.add_job({"cmd": "sleep 3"}, {"cmd": "sleep 1"})
    until(lambda: job.statuses.get(0) == "in-progress", otherwise="the step did not begin")
    server.version, server.files = "2", files
    until(lambda: current(host).startswith("versions/2-"), otherwise="the new version is not current")
    assert [(result["step"], result["status"]) for result in server.results(job)] == [(0, "done"), (1, "done")]
    introduced = server.said("host-info")[-1]["at"]
    assert introduced > server.said("get-job-step")[-1]["at"], "the new version came before the job was over"
    assert host.property("MainPID") == str(before)
    host.out(f"systemctl restart {UNIT}")
    after = server.add_job({"cmd": "echo still the new one"})
    until(lambda: after.finished, otherwise="the new version does no job after a restart")
    assert "agent 2 for" in host.out(f"journalctl -u {UNIT} --no-pager | tail -20")
