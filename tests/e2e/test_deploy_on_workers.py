"""24 hosts in slices of six on two workers over TLS, while workers and coordinators are killed and stopped.

The tests share the machines and the hosts, and follow one another.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.background import repeating
from tests.contract.embedded import Embedded
from tests.e2e.loopback_fleet import Fleet, alive
from tests.e2e.slice_workers import WORKERS_SECRET, Workers
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOSTS = [f"host-{number:02}" for number in range(24)]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, embedded: Embedded) -> Iterator[Workers]:
    network = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}"
    fleet = Fleet.of(
        tmp_path_factory.mktemp("fleet"),
        embedded,
        {host: f"{network}.{number}" for number, host in enumerate(HOSTS, 11)},
    )
    fleet.variables.update({"kraken_registration_trust": "attested", "kraken_verify_enabled": False})
    fleet.inventory |= {f"kraken_group_{name}": {"hosts": {}} for name in ("even", "odd")}
    for number, host in enumerate(HOSTS):
        fleet.inventory[f"kraken_group_{'odd' if number % 2 else 'even'}"]["hosts"][host] = {}
    made = Workers(fleet)
    try:
        made.start_scheduler()
        made.start("north")
        made.start("south")
        yield made
    finally:
        made.stop()
        fleet.stop()


@contextmanager
def nothing_leaks(workers: Workers, disabled: set[str] | None = None) -> Iterator[None]:
    """See again and again that no machine's files have a secret, and keep which agents are disabled."""
    found: list[str] = []

    def look() -> None:
        for secret in (workers.fleet.server.password, WORKERS_SECRET):
            found.extend(workers.files_with(secret))
        if disabled is not None:
            disabled.update(address for address, agent in workers.fleet.agents().items() if agent.disabled)

    with repeating(look, pause=0.3):
        yield
    assert found == []


def assert_whole(workers: Workers) -> None:
    """See that each host has one agent that works, in its groups, and that no slice has left anything."""
    fleet = workers.fleet
    with fleet.client() as client:
        assert client.agents(unauthorized=True) == ()
        assert len(client.agents()) == len(HOSTS)
    agents = fleet.agents()
    for number, host in enumerate(HOSTS):
        agent = agents[fleet.host(host)["kraken_agent_address"]]
        assert agent.enabled
        assert agent.group_names == {"all", "odd" if number % 2 else "even"}
        assert alive(fleet.pid(host))
        assert processes_in(fleet.home(host)) == [fleet.pid(host)]
    until(lambda: slices_left(workers) == [], otherwise="a slice has left its directory")


def processes_in(home: Path) -> list[int]:
    """The agents that run out of a host's directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{home}/".encode() in path.read_bytes() and alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def slices_left(workers: Workers) -> list[str]:
    return [path.name for path in workers.directory.glob("*/slices/*") if path.name != "lock"]


def change(workers: Workers, number: int) -> None:
    """Give every agent a new setting, so that each host has something to do."""
    workers.fleet.variables["kraken_agent_environment"] = {"ROUND": str(number)}


def test_a_worker_that_is_killed_loses_its_slice_to_another_one(workers: Workers) -> None:
    deploying = workers.deploy()
    with nothing_leaks(workers):
        lost = deploying.host_of_slice_on("south")
        workers.kill("south", group=False)
        ended = deploying.end()
    assert (ended["code"], ended["failed"]) == (0, {}), deploying.text
    assert deploying.worker(lost["slice"]) == "north"
    assert_whole(workers)


def test_a_killed_group_and_a_worker_stopped_past_its_time_leave_each_host_once(workers: Workers) -> None:
    workers.start("east")
    change(workers, 2)
    disabled: set[str] = set()
    deploying = workers.deploy()
    with nothing_leaks(workers, disabled):
        deploying.host_of_slice_on("east")
        workers.kill("east", group=True)
        stopped = deploying.host_of_slice_on("north")
        workers.running["north"].send_signal(signal.SIGSTOP)
        workers.start("west")
        deploying.until(lambda one: one["event"] == "SliceStarted" and one["slice"] == stopped["slice"])
        workers.running["north"].send_signal(signal.SIGCONT)
        ended = deploying.end()
    assert (ended["code"], ended["failed"]) == (0, {}), deploying.text
    assert deploying.worker(stopped["slice"]) == "west"
    assert disabled == set()
    assert_whole(workers)


def test_a_coordinator_that_is_killed_and_started_again_ends_its_work(workers: Workers) -> None:
    change(workers, 3)
    disabled: set[str] = set()
    with nothing_leaks(workers, disabled):
        first = workers.deploy()
        first.until(lambda one: one["event"] == "HostDone")
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait()
        second = workers.deploy()
        ended = second.end()
    assert (ended["code"], ended["failed"]) == (0, {}), second.text
    assert disabled == set()
    assert_whole(workers)

    pids = [workers.fleet.pid(host) for host in HOSTS]
    again = workers.deploy()
    assert again.end()["code"] == 0, again.text
    assert again.states == {"ok"}
    assert [workers.fleet.pid(host) for host in HOSTS] == pids
    assert_whole(workers)


def test_one_without_a_certificate_of_the_authority_is_not_let_in(workers: Workers, tmp_path: Path) -> None:
    stranger = Workers(Fleet(tmp_path, workers.fleet.server, workers.fleet.inventory), address=workers.address)
    refused = stranger.deploy("--limit", HOSTS[0])
    text, _nothing = refused.process.communicate(timeout=120)
    assert refused.process.returncode == 1
    assert "The scheduler does not answer" in text
