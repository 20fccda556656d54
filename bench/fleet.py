"""What a fleet of 100, 1,000 and 10,000 agents costs: all that a deploy and the console do besides the hosts.

    python -m bench.fleet                          each row as it is known; two to three minutes at 10,000 agents
    python -m bench.fleet --sizes 100,1000 --only console --json

The agents are simulated: each speaks to an embedded server from a loopback address of its own. Their inventory is a
plain file with group variables, some of them templates. CPU is that of the command and of what it starts, `server` that
of the embedded server meanwhile, memory the most that one process had at a time. Exit code 1 when a step failed; what
was measured until then stays.
"""

from __future__ import annotations

import argparse
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
from dataclasses import asdict, dataclass, field
from pathlib import Path

import requests
import yaml

from bench import swarm

_FIRST = int(ipaddress.ip_address("127.64.0.1"))
_BIN = Path(sys.executable).parent
_ROOT = Path(__file__).resolve().parents[1]
_PASSWORD = "swarm"
# Of kraken-fleet, of Ansible and of the console: what is right, or what is no failure of theirs.
_DONE = (0,)
_CHANGES = (0, 2)
_HOST_INFO = {
    "system": "debian-12",
    "system_type": "linux",
    "distro_name": "debian",
    "distro_version": "12",
    "isolation_type": "bare-metal",
    "isolation": "bare-metal",
}
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
            "KRAKEN_FLEET_PASSWORD": _PASSWORD,
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def addresses(self) -> Iterator[str]:
        return (str(ipaddress.ip_address(_FIRST + index)) for index in range(self.number))

    def server_cpu(self) -> float:
        return swarm.process_cost(self.pid)[0]

    def command(self, step: str, command: Sequence[object], right: Sequence[int] = _DONE) -> Row:
        """Run a command to its end.

        Args:
            right: its exit codes when all went well.
        """
        words = [str(word) for word in command]
        load, server, started = os.getloadavg()[0], self.server_cpu(), time.monotonic()
        with (self.folder / "output").open("w+b") as output:
            process = subprocess.Popen(
                [str(_BIN / words[0]), *words[1:]], env=self.environment, stdout=output, stderr=subprocess.STDOUT
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


def check(fleet: Fleet) -> Iterator[Row]:
    """The check of variables that each deploy begins with."""
    play = ["ansible-playbook", "-i", fleet.inventory]
    yield fleet.command(
        "ansible-playbook --list-hosts (Ansible alone)", [*play, "--list-hosts", fleet.folder / "check.yml"]
    )
    yield fleet.command("check of variables", [*play, fleet.folder / "check.yml"])
    few = fleet.folder / "limit"
    few.write_text("\n".join(f"host{index:05}" for index in range(min(250, fleet.number))))
    yield fleet.command(
        "check of variables, --limit to 250 hosts", [*play, "--limit", f"@{few}", fleet.folder / "check.yml"]
    )


def plan(fleet: Fleet) -> Iterator[Row]:
    """What the command line does with an inventory."""
    named = ["-i", fleet.inventory]
    yield fleet.command("kraken-fleet plan, all to be done", ["kraken-fleet", "plan", *named, "--json"], _CHANGES)
    yield fleet.command("kraken-fleet apply", ["kraken-fleet", "apply", *named])
    speak(fleet, {"msg": "host-info", "info": _HOST_INFO})
    yield fleet.command("kraken-fleet plan, nothing to do", ["kraken-fleet", "plan", *named, "--json"])
    yield fleet.command("kraken-fleet agents list", ["kraken-fleet", "agents", "list"])


def registration(fleet: Fleet) -> Iterator[Row]:
    """The one task of a deploy that registers all agents."""
    command = ["ansible-playbook", "-i", fleet.inventory, fleet.folder / "registration.yml"]
    yield fleet.command("agent_registration, all to be done", command)
    speak(fleet, {"msg": "host-info", "info": _HOST_INFO})
    yield fleet.command("agent_registration, nothing to do", command)


def dynamic(fleet: Fleet) -> Iterator[Row]:
    """The inventory plugin that makes hosts of the server's agents."""
    source = fleet.folder / "build.kraken.yml"
    yield fleet.command("ansible-inventory --list from the server", ["ansible-inventory", "-i", source, "--list"])


def rest(fleet: Fleet) -> Iterator[Row]:
    """What the embedded server answers to clients and to agents."""
    session = requests.Session()
    answer = session.post(f"{fleet.url}/api/sessions", json={"user": "admin", "password": _PASSWORD}, timeout=60)
    session.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    middle = fleet.number // 2

    def get(path: str) -> None:
        session.get(f"{fleet.url}/api/{path}", timeout=60).raise_for_status()

    def poll() -> None:
        say(fleet, str(ipaddress.ip_address(_FIRST)), {"msg": "get-job"})

    yield fleet.calls("REST: 100 agents", lambda: get("agents?limit=100"), fleet.pid, 20)
    yield fleet.calls(
        "REST: 100 agents from the middle", lambda: get(f"agents?limit=100&start={middle}"), fleet.pid, 20
    )
    yield fleet.calls("REST: one agent", lambda: get("agents/1"), fleet.pid, 20)
    yield fleet.calls("REST: agents groups", lambda: get("groups?limit=100"), fleet.pid, 20)
    yield fleet.calls("poll of an idle agent", poll, fleet.pid, 50)


@contextmanager
def served_console(fleet: Fleet) -> Iterator[tuple[str, int]]:
    """A console in a process of its own, with the inventory; gives its URL and process id."""
    port = fleet.port + 1
    command = [str(_BIN / "kraken-fleet"), "console", "--port", str(port), "-i", str(fleet.inventory)]
    process = subprocess.Popen(command, env=fleet.environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                requests.get(f"{url}/sign-in", timeout=60)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)


def console(fleet: Fleet) -> Iterator[Row]:
    """Pages, as a person waits for them."""
    with served_console(fleet) as (url, pid):
        person = requests.Session()
        person.post(f"{url}/sign-in", data={"user": "admin", "password": _PASSWORD}, timeout=60).raise_for_status()

        def page(path: str) -> None:
            person.get(url + path, timeout=300).raise_for_status()

        started, cpu = time.monotonic(), swarm.process_cost(pid)[0]
        page("/agents")
        first, cost = time.monotonic() - started, swarm.process_cost(pid)
        yield Row(fleet.number, "console: the first page", first, cost[0] - cpu, cost[1], 0.0, os.getloadavg()[0])
        yield fleet.calls("console: 100 agents", lambda: page("/agents"), pid, 20)
        yield fleet.calls("console: 100 agents by system", lambda: page("/agents?sort=system&dir=desc"), pid, 20)
        yield fleet.calls("console: search for one host", lambda: page("/agents?q=host00042"), pid, 20)
        yield fleet.calls("console: search that all match", lambda: page("/agents?q=site"), pid, 20)
        yield fleet.calls("console: 500 agents", lambda: page("/agents?size=500"), pid)
        for path in ("fleet", "groups", "discovered", "agents/1"):
            yield fleet.calls(f"console: /{path}", lambda path=path: page(f"/{path}"), pid)  # type: ignore[misc]


# Each list has a server of its own: after the first step, the agents of that one are authorized.
STEPS = {
    "registration": (registration,),
    "plan": (check, plan, dynamic, rest, console),
}
NAMES = tuple(dict.fromkeys(step.__name__ for steps in STEPS.values() for step in steps))


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


def measure(number: int, chosen: Sequence[str]) -> Iterator[Row]:
    """All chosen steps at one size."""
    for name, steps in STEPS.items():
        wanted = [step for step in steps if step.__name__ in chosen]
        if not wanted:
            continue
        with announced(number) as (fleet, row):
            yield row
            if name == "plan" and plan not in wanted and wanted != [check]:
                list(plan(fleet))
            for step in wanted:
                yield from step(fleet)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,1000,10000", help="numbers of agents, with commas")
    parser.add_argument("--only", default=",".join(NAMES), help=f"some of {', '.join(NAMES)}, with commas")
    parser.add_argument("--json", action="store_true", help="one JSON object for each line")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen).difference(NAMES):
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    failed = False
    for number in map(int, options.sizes.split(",")):
        try:
            for row in measure(number, chosen):
                print(json.dumps(asdict(row)) if options.json else row.line(), flush=True)
        except (Failed, OSError, requests.RequestException) as error:
            print(f"{number:>7}  failed: {error}", file=sys.stderr, flush=True)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
