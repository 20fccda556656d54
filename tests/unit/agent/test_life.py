"""The agent's life between jobs: becoming known, waiting, signals, the service manager, and who it says it is."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kraken_agent import loop

from tests.unit.agent.conftest import RunningAgent, StartAgent
from tests.unit.agent.fake_server import FakeServer
from tests.waiting import eventually

Until = Callable[..., None]


def test_host_info_is_what_upstreams_agent_says(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    start_agent(PATH="/usr/bin:/bin")
    until(lambda: server.said("host-info"))
    message = server.said("host-info")[0]
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    system = f"{release['ID']}-{release.get('VERSION_ID', '')}".replace('"', "")
    assert message["address"] == "127.0.0.1"
    assert message["info"].items() >= {"system": system, "system_type": "linux"}.items()
    assert {"distro_name", "distro_version", "isolation_type", "isolation"} <= message["info"].keys()


def test_a_system_id_takes_the_place_of_the_system(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    start_agent("--system-id", "12")
    until(lambda: server.said("host-info"))
    assert server.said("host-info")[0]["info"]["system"] == "12"


def test_the_provisioners_nonce_is_shown(
    server: FakeServer, start_agent: StartAgent, until: Until, tmp_path: Path
) -> None:
    (tmp_path / "nonce").write_text("a1b2c3\n")
    start_agent(KRAKEN_AGENT_NONCE_FILE=str(tmp_path / "nonce"))
    until(lambda: server.said("host-info"))
    assert server.said("host-info")[0]["info"]["kraken_fleet_nonce"] == "a1b2c3"


@pytest.mark.parametrize(("age", "idle", "unauthorized"), [(0, 1.0, 1.0), (30, 3.0, 3.0), (3600, 5.0, 10.0)])
def test_an_agent_asks_less_often_as_it_grows_older(age: float, idle: float, unauthorized: float) -> None:
    agent: Any = SimpleNamespace(_started=time.monotonic() - age)
    assert loop.Agent._pause(agent, loop._POLL_SECONDS) == pytest.approx(idle, abs=0.1)
    assert loop.Agent._pause(agent, loop._UNAUTHORIZED_SECONDS) == pytest.approx(unauthorized, abs=0.1)


def test_an_agent_that_is_not_authorized_waits_and_asks_again(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    server.authorized = False
    start_agent()
    until(lambda: len(server.said("host-info")) >= 2)
    first, second = server.said("host-info")[:2]
    assert second["at"] - first["at"] > 0.8
    assert not server.said("get-job")
    server.authorized = True
    until(lambda: server.said("get-job"))


def test_an_agent_that_loses_its_authorization_introduces_itself_again(
    server: FakeServer, start_agent: StartAgent, until: Until
) -> None:
    agent = start_agent()
    until(lambda: server.said("get-job"))
    server.authorized = False
    agent.signal(signal.SIGHUP)
    until(lambda: len(server.said("host-info")) >= 2)


@pytest.mark.parametrize(
    ("suffix", "path"),
    [("", "/backend"), ("/", "/backend"), ("/bk", "/backend"), ("/bk/", "/bk/backend"), ("/bk/backend", "/bk/backend")],
)
def test_the_servers_url_is_joined_as_upstream_joins_it(
    server: FakeServer, start_agent: StartAgent, until: Until, suffix: str, path: str
) -> None:
    start_agent(url=server.url + suffix)
    until(lambda: server.paths)
    assert server.paths[0] == path


def test_the_server_may_be_host_and_port(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    start_agent("-s", server.url.replace("http://", ""), url="http://127.0.0.1:1")
    until(lambda: server.said("get-job"))


def test_an_address_of_this_host_is_claimed_and_used(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    server.add_job({"cmd": "echo hi"})
    start_agent(KRAKEN_AGENT_ADDRESS="127.0.0.37")
    until(lambda: server.sink.output())
    assert {message["address"] for message in server.messages} == {"127.0.0.37"}
    assert server.clients == {"127.0.0.37"}
    assert server.sink.sources == {"127.0.0.37"}


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"KRAKEN_AGENT_ADDRESS": "203.0.113.9"}, "203.0.113.9"),
        ({"KRAKEN_AGENT_SLOT": "3"}, "agent.3"),
        ({"KRAKEN_AGENT_BUILTIN": "1"}, "agent"),
    ],
)
def test_other_addresses_are_only_claimed(
    server: FakeServer, start_agent: StartAgent, until: Until, variables: dict[str, str], address: str
) -> None:
    start_agent(**variables)
    until(lambda: server.said("host-info"))
    assert server.said("host-info")[0]["address"] == address
    assert server.clients == {"127.0.0.1"}


def _give(agent: RunningAgent, directory: Path, settings: str) -> None:
    """Write other settings and let the agent read them."""
    (directory / "kraken.env").write_text(f"{settings}\n")
    agent.signal(signal.SIGHUP)


@pytest.fixture
def agent(server: FakeServer, start_agent: StartAgent, until: Until) -> RunningAgent:
    """An agent that has asked for a job."""
    agent = start_agent()
    until(lambda: server.said("get-job"))
    return agent


def test_sighup_reads_the_settings_again(server: FakeServer, agent: RunningAgent, until: Until, tmp_path: Path) -> None:
    _give(agent, tmp_path, '# settings\nKRAKEN_AGENT_ADDRESS="127.0.0.38"')
    until(lambda: server.said("host-info")[-1]["address"] == "127.0.0.38")
    _give(agent, tmp_path, "KRAKEN_AGENT_DRAIN_SECONDS=7")
    until(lambda: server.said("host-info")[-1]["address"] == "127.0.0.1")


def test_bad_settings_are_refused_and_the_old_ones_stay(agent: RunningAgent, until: Until, tmp_path: Path) -> None:
    _give(agent, tmp_path, "KRAKEN_AGENT_DRAIN_SECONDS=soon")
    until(lambda: "KRAKEN_AGENT_DRAIN_SECONDS is 'soon'" in agent.said())
    assert agent.process.poll() is None


@pytest.fixture
def service_manager(tmp_path: Path) -> Iterator[socket.socket]:
    """systemd's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(100)
        yield manager


def _hear(manager: socket.socket, wanted: str, seconds: float = 100.0) -> list[str]:
    heard: list[str] = []
    deadline = time.monotonic() + seconds
    while not any(wanted in text for text in heard):
        assert time.monotonic() < deadline, heard
        heard.append(manager.recv(1000).decode())
    return heard


def test_the_service_manager_hears_of_start_watchdog_and_stop(
    service_manager: socket.socket, server: FakeServer, start_agent: StartAgent, tmp_path: Path
) -> None:
    agent = start_agent(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000")
    _hear(service_manager, "READY=1")
    began = time.monotonic()
    for _ in range(3):
        _hear(service_manager, "WATCHDOG=1")
    assert time.monotonic() - began < 10
    server.add_job({"cmd": "sleep 1"})
    agent.signal(signal.SIGHUP)
    _hear(service_manager, "STATUS=job 1")
    agent.signal(signal.SIGTERM)
    assert any("EXTEND_TIMEOUT_USEC" in text for text in _hear(service_manager, "STOPPING=1"))
    assert agent.wait() == 0


def test_an_idle_agent_is_small(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job({"cmd": "echo one"})
    agent = start_agent()
    until(lambda: job.finished)

    def pss_kib() -> int:
        text = Path(f"/proc/{agent.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))

    eventually(pss_kib, lambda kib: kib < 13_500_000 / 1024)


def test_what_the_agent_keeps_is_closed_to_the_world(server: FakeServer, start_agent: StartAgent, until: Until) -> None:
    job = server.add_job({"script": "echo one\n"})
    agent = start_agent()
    until(lambda: job.finished)
    for directory, _, files in os.walk(agent.data_dir):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            assert not path.stat().st_mode & 0o002, path
    assert (agent.data_dir / "jobs" / "1").stat().st_mode & 0o777 == 0o700
    assert (agent.data_dir / "spool").stat().st_mode & 0o777 == 0o700
