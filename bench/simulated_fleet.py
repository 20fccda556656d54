"""A fleet of simulated agents on an embedded server, its inventory, and what a step with it costs."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench import swarm

FIRST = int(ipaddress.ip_address("127.64.0.1"))
BIN = Path(sys.executable).parent
_ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "swarm"
_VARIABLES: dict[str, object] = {
    "kraken_server_user": "admin",
    "kraken_server_password": "{{ lookup('ansible.builtin.env', 'KRAKEN_FLEET_PASSWORD') }}",
    "kraken_agent_groups": ["site-{{ site }}"],
    "kraken_agent_environment": {"SITE": "{{ site }}", "HOST": "{{ inventory_hostname }}.{{ site }}.example"},
    "kraken_agent_drain_seconds": 900,
}
_PLAYS: dict[str, dict[str, object]] = {
    "check": {"kraken_ci.fleet.validate_inventory": {}},
    "registration": {
        "kraken_ci.fleet.agent_registration": {
            name: "{{ kraken_" + name + " }}" for name in ("server_url", "server_user", "server_password")
        }
    },
}


class Failed(Exception):  # noqa: N818 - it is no error of this program
    """A step did not do what it should."""


@dataclass
class Row:
    """One step at one size: seconds on the clock and of CPUs, megabytes, and what else was going on."""

    agents: int
    step: str
    wall: float
    cpu: float
    peak_mb: float
    server_cpu: float
    load: float
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)

    def line(self) -> str:
        return (
            f"{self.agents:>7}  {self.step:<44}{self.wall:>9.3f} s{self.cpu:>8.2f} s CPU{self.peak_mb:>7.0f} MB"
            f"{self.server_cpu:>8.2f} s server  load {self.load:.1f}, {self.cores} cores"
        )


@dataclass
class Fleet:
    """A server with agents that have announced themselves, and the inventory that wants them."""

    number: int
    folder: Path
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    @property
    def environment(self) -> dict[str, str]:
        """Where commands find the server and its account; nothing of what this account keeps elsewhere."""
        return os.environ | {
            "ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg"),
            "KRAKEN_FLEET_SERVER": self.url,
            "KRAKEN_FLEET_USER": "admin",
            "KRAKEN_FLEET_PASSWORD": PASSWORD,
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def addresses(self) -> Iterator[str]:
        return (str(ipaddress.ip_address(FIRST + index)) for index in range(self.number))

    def server_cpu(self) -> float:
        return swarm.process_cost(self.pid)[0]

    def command(self, step: str, command: Sequence[object], right: Sequence[int] = (0,)) -> Row:
        """Run a command to its end.

        Args:
            right: its exit codes when all went well.
        """
        words = [str(word) for word in command]
        load, server, started = os.getloadavg()[0], self.server_cpu(), time.monotonic()
        with (self.folder / "output").open("w+b") as output:
            process = subprocess.Popen(
                [str(BIN / words[0]), *words[1:]], env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.monotonic() - started
            if process.returncode not in right:
                output.seek(0)
                raise Failed(f"{step}: exit code {process.returncode}: {output.read().decode()[-2000:]}")
        cpu = used.ru_utime + used.ru_stime
        return Row(self.number, step, wall, cpu, used.ru_maxrss / 1000, self.server_cpu() - server, load)

    def calls(self, step: str, call: Callable[[], object], pid: int, times: int = 5) -> Row:
        """Ask a server several times; the row has the median.

        Args:
            pid: the server's process, whose CPU and memory count.
        """
        call()  # the first one fills caches
        load, before, taken = os.getloadavg()[0], swarm.process_cost(pid)[0], []
        for _ in range(times):
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
        cpu, memory = swarm.process_cost(pid)
        server = cpu - before if pid == self.pid else 0.0
        return Row(self.number, step, statistics.median(taken), (cpu - before) / times, memory, server, load)


def say(fleet: Fleet, address: str, message: dict[str, object]) -> None:
    """Send one message of an agent, from its own address."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=60, source_address=(address, 0))
    body = json.dumps({"address": address, **message})
    connection.request("POST", "/backend", body, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise Failed(f"The server answered {status} to {message['msg']} of {address}")


def speak(fleet: Fleet, message: dict[str, object]) -> None:
    """Let every agent speak once."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda address: say(fleet, address, message), fleet.addresses()))


def write_inventory(fleet: Fleet) -> None:
    """Write an inventory of four sites, one of them on its own as well, and the playbooks that are measured."""
    folder = fleet.inventory
    (folder / "group_vars").mkdir(parents=True)
    sites = {f"site{number}": f"site_{number}" for number in range(4)}
    hosts: dict[str, list[str]] = {site: [] for site in sites}
    for index, address in enumerate(fleet.addresses()):
        hosts[f"site{index % 4}"].append(f"host{index:05} ansible_host={address}")
    text = "".join(f"[site_{number}]\n" + "\n".join(hosts[f"site{number}"]) + "\n\n" for number in range(4))
    children = "\n".join(sites.values())
    (folder / "hosts").write_text(
        f"{text}[kraken_agents:children]\n{children}\n\n[kraken_group_linux:children]\n{children}\n"
    )
    common = _VARIABLES | {"kraken_server_url": fleet.url}
    (folder / "group_vars" / "kraken_agents.yml").write_text(yaml.safe_dump(common))
    for site, group in sites.items():
        (folder / "group_vars" / f"{group}.yml").write_text(yaml.safe_dump({"site": site}))
    for name, task in _PLAYS.items():
        play = {"hosts": "kraken_agents", "gather_facts": False, "tasks": [{**task, "run_once": True}]}
        (fleet.folder / f"{name}.yml").write_text(yaml.safe_dump([play]))
    plugin = {"plugin": "kraken_ci.fleet.kraken", "server_url": fleet.url}
    (fleet.folder / "build.kraken.yml").write_text(yaml.safe_dump(plugin))


@contextmanager
def announced(number: int) -> Iterator[tuple[Fleet, Row]]:
    """A fresh server that has heard once of every agent, and what that took."""
    with swarm.server(waiting=number) as (port, pid), tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(number, Path(folder), port, pid)
        write_inventory(fleet)
        load, started = os.getloadavg()[0], time.monotonic()
        speak(fleet, {"msg": "get-job"})
        wall, (cpu, memory) = time.monotonic() - started, swarm.process_cost(pid)
        yield fleet, Row(number, "all agents announce themselves", wall, cpu, memory, cpu, load)
