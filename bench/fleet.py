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
import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import requests

from bench import swarm
from bench.simulated_fleet import BIN, FIRST, PASSWORD, Failed, Fleet, Row, announced, say, speak
from tests.host_info import DEBIAN

# What `kraken-fleet plan` ends with: changes or none.
_CHANGES = (0, 2)
# What `kraken-fleet doctor` ends with: no findings or some.
_FINDINGS = (0, 3)
_MOST_HOSTS = 100


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
    speak(fleet, {"msg": "host-info", "info": DEBIAN})
    yield fleet.command("kraken-fleet plan, nothing to do", ["kraken-fleet", "plan", *named, "--json"])
    yield fleet.command("kraken-fleet agents list", ["kraken-fleet", "agents", "list"])


def registration(fleet: Fleet) -> Iterator[Row]:
    """The one task of a deploy that registers all agents."""
    command = ["ansible-playbook", "-i", fleet.inventory, fleet.folder / "registration.yml"]
    yield fleet.command("agent_registration, all to be done", command)
    speak(fleet, {"msg": "host-info", "info": DEBIAN})
    yield fleet.command("agent_registration, nothing to do", command)


def dynamic(fleet: Fleet) -> Iterator[Row]:
    """The inventory plugin that makes hosts of the server's agents."""
    source = fleet.folder / "build.kraken.yml"
    yield fleet.command("ansible-inventory --list from the server", ["ansible-inventory", "-i", source, "--list"])


def doctor(fleet: Fleet) -> Iterator[Row]:
    """Look at each host, all of which are this machine: Ansible starts processes for each, so that few are enough."""
    if fleet.number <= _MOST_HOSTS:
        here = ["-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={sys.executable}"]
        command = ["kraken-fleet", "doctor", "-i", fleet.inventory, *here, "--json"]
        yield fleet.command("kraken-fleet doctor", command, _FINDINGS)


def rest(fleet: Fleet) -> Iterator[Row]:
    """What the embedded server answers to clients and to agents."""
    session = requests.Session()
    answer = session.post(f"{fleet.url}/api/sessions", json={"user": "admin", "password": PASSWORD}, timeout=60)
    session.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    middle = fleet.number // 2

    def get(path: str) -> None:
        session.get(f"{fleet.url}/api/{path}", timeout=60).raise_for_status()

    def poll() -> None:
        say(fleet, str(ipaddress.ip_address(FIRST)), {"msg": "get-job"})

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
    command = [str(BIN / "kraken-fleet"), "console", "--port", str(port), "-i", str(fleet.inventory)]
    process = subprocess.Popen(command, env=fleet.environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(3_600):  # three minutes, for a machine with much other work
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
        person.post(f"{url}/sign-in", data={"user": "admin", "password": PASSWORD}, timeout=60).raise_for_status()

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
    "plan": (check, plan, dynamic, rest, console, doctor),
}
NAMES = tuple(dict.fromkeys(step.__name__ for steps in STEPS.values() for step in steps))


def measure(number: int, chosen: Sequence[str]) -> Iterator[Row]:
    """All chosen steps at one size."""
    for name, steps in STEPS.items():
        wanted = [step for step in steps if step.__name__ in chosen]
        if not wanted:
            continue
        with announced(number) as (fleet, row):
            yield row
            if name == "plan" and plan not in wanted and not {check, doctor}.issuperset(wanted):
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
