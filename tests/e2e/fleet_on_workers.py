"""24 hosts and two workers over TLS: what tests of deploys and of upgrades on workers share."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.background import repeating
from tests.contract.embedded import Embedded
from tests.e2e.loopback_fleet import Fleet, alive
from tests.e2e.slice_workers import WORKERS_SECRET, Deploying, Workers
from tests.waiting import until

HOSTS = [f"host-{number:02}" for number in range(24)]


@contextmanager
def two_workers(directory: Path, server: Embedded) -> Iterator[Workers]:
    """The machines; the hosts have nothing yet. Half of the agents are in each of two groups."""
    network = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}"
    fleet = Fleet.of(directory, server, {host: f"{network}.{number}" for number, host in enumerate(HOSTS, 11)})
    fleet.variables.update({"kraken_registration_trust": "attested", "kraken_verify_enabled": False})
    fleet.inventory |= {f"kraken_group_{name}": {"hosts": {}} for name in ("even", "odd")}
    for number, host in enumerate(HOSTS):
        fleet.inventory[f"kraken_group_{group_of(number)}"]["hosts"][host] = {}
    made = Workers(fleet)
    try:
        made.start_scheduler()
        made.start("north")
        made.start("south")
        yield made
    finally:
        made.stop()
        fleet.stop()


def lose_two(workers: Workers, running: Deploying) -> int:
    """Kill `east` with its group, and stop `north` until another worker has its slice; return that one's number."""
    workers.kill("east", group=True)
    stopped: int = running.host_of_slice_on("north")["slice"]
    workers.running["north"].send_signal(signal.SIGSTOP)
    workers.start("west")
    running.until(lambda one: one["event"] == "SliceStarted" and one["slice"] == stopped)
    workers.running["north"].send_signal(signal.SIGCONT)
    return stopped


def group_of(number: int) -> str:
    """The agents group of the host with this number."""
    return "odd" if number % 2 else "even"


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
        assert agent.group_names == {"all", group_of(number)}
        assert alive(fleet.pid(host))
        assert processes_in(fleet.home(host)) == [fleet.pid(host)]
    until(lambda: slices_left(workers) == [], otherwise="a slice has left its directory")
    until(lambda: processes_in(workers.directory, "slices/") == [], otherwise="forks of ansible-playbook are left")


def processes_in(home: Path, below: str = "") -> list[int]:
    """The processes that name something in a directory and have this in its path, such as the agents of a host."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            named = re.search(rb"%s/[^\0]*%s" % (re.escape(str(home)).encode(), below.encode()), path.read_bytes())
            if named and alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def slices_left(workers: Workers) -> list[str]:
    return [path.name for path in workers.directory.glob("*/slices/*") if path.name != "lock"]


def change(workers: Workers, number: int) -> None:
    """Give every agent a new setting, so that each host has something to do."""
    workers.fleet.variables["kraken_agent_environment"] = {"ROUND": str(number)}
