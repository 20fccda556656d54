"""Deploys one end state to N lab hosts with kraken-fleet, plain Ansible, plain Ansible under mitogen, and pyinfra.

    python bench/deploy.py --hosts 1 4 8 --rounds 3

Needs root and Docker, and the packages of the dependency group `bench`. The contenders take turns, each first on hosts
that were made bare again and then once more with nothing to do. All open their SSH connections anew in each run.
Registration on the server is left out: only kraken-fleet has it. What it does besides the common end state stays in:
Python, Git and the way to the server are looked at on every host, and a service is believed only when it says it is up.

Seconds are wall time, and CPU time of this machine's side of the deploy; hosts and other work share the machine, which
CPU time shows less of. Ratios are to kraken-fleet's medians.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from kraken_fleet.bundle import build

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
HERE = Path(__file__).with_suffix("")
BARE = (
    "systemctl disable --now kraken-agent 2>/dev/null; rm -rf /opt/kraken /etc/systemd/system/kraken-agent.service; "
    "systemctl daemon-reload; userdel kraken 2>/dev/null; groupdel kraken 2>/dev/null; true"
)


class Taken(NamedTuple):
    """Seconds of a deploy: on the clock, and of this side's CPUs."""

    wall: float
    cpu: float


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Lab:
    """Hosts without agents."""

    folder: Path
    inventory: Path
    bundles: Path
    sha256: str
    environment: dict[str, str]

    def run(self, *command: str | Path, **environment: str) -> Taken:
        """Runs a command; gives what it took."""
        started, cpu = time.monotonic(), _cpu()
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return Taken(time.monotonic() - started, _cpu() - cpu)

    def make_bare(self) -> None:
        self.run(PROGRAMS / "ansible", "all", "-m", "ansible.builtin.raw", "-a", BARE)

    def hang_up(self) -> None:
        """Ends the connections that Ansible keeps for a minute: pyinfra keeps none."""
        for path in (self.inventory.parent / "ansible" / "cp").glob("*"):
            subprocess.run(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "-"], capture_output=True, check=False)


@contextmanager
def lab(hosts: int) -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet = [str(PROGRAMS / "kraken-fleet"), "lab"]
        where = ["--name", "bench", "--dir", name]
        made = ["--driver", "docker", "--no-deploy", "--hosts", str(hosts)]
        try:
            subprocess.run([*fleet, "up", *made, *where], check=True, stdout=subprocess.DEVNULL)
            directory = folder / ".lab" / "bench"
            bundles = {bundle.name: bundle for bundle in build(folder / "bundles")}
            path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
            environment = os.environ | {"ANSIBLE_CONFIG": str(directory / "ansible.cfg"), "PATH": path}
            yield Lab(folder, directory / "hosts.yml", folder / "bundles", bundles["kkagent"].sha256, environment)
        finally:
            subprocess.run([*fleet, "down", *where], check=True, stdout=subprocess.DEVNULL)


def with_kraken_fleet(lab: Lab) -> Taken:
    return lab.run(PROGRAMS / "ansible-playbook", ROOT / "playbooks" / "deploy-agents.yml", "--tags", "agent")


def with_plain_ansible(lab: Lab, **environment: str) -> Taken:
    given = {"bundle_dir": str(lab.bundles), "agent_sha256": lab.sha256, "server": _server(lab)}
    return lab.run(PROGRAMS / "ansible-playbook", HERE / "plain.yml", "-e", json.dumps(given), **environment)


def with_mitogen(lab: Lab) -> Taken:
    import ansible_mitogen

    strategies = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    return with_plain_ansible(lab, ANSIBLE_STRATEGY_PLUGINS=str(strategies), ANSIBLE_STRATEGY="mitogen_linear")


def with_pyinfra(lab: Lab) -> Taken:
    inventory = lab.folder / "pyinfra_inventory.py"
    hosts = [
        (host["ansible_host"], {"ssh_user": "root", "ssh_key": host["ansible_ssh_private_key_file"]})
        for host in _hosts(lab).values()
    ]
    data = {"bundle_dir": str(lab.bundles), "server": _server(lab), "ssh_strict_host_key_checking": "no"}
    inventory.write_text(f"agents = ({hosts!r}, {data!r})\n")
    return lab.run(PROGRAMS / "pyinfra", "--yes", inventory, HERE / "pyinfra_deploy.py")


def _hosts(lab: Lab) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load(lab.inventory.read_text())["kraken_agents"]["hosts"]
    return found


def _server(lab: Lab) -> str:
    return str(yaml.safe_load(lab.inventory.read_text())["kraken_agents"]["vars"]["kraken_server_url"])


CONTENDERS: dict[str, Callable[[Lab], Taken]] = {
    "kraken-fleet": with_kraken_fleet,
    "pyinfra": with_pyinfra,
    "plain Ansible, mitogen": with_mitogen,
    "plain Ansible": with_plain_ansible,
}


def measure(hosts: int, rounds: int, contenders: Sequence[str]) -> dict[str, dict[str, Taken]]:
    """The medians of each contender, fresh and unchanged."""
    taken: dict[str, dict[str, list[Taken]]] = {name: {"fresh": [], "unchanged": []} for name in contenders}
    with lab(hosts) as made:
        for _ in range(rounds):
            for name in contenders:
                made.make_bare()
                for runs in taken[name].values():
                    made.hang_up()
                    runs.append(CONTENDERS[name](made))
    return {name: {kind: _median(runs) for kind, runs in kinds.items()} for name, kinds in taken.items()}


def _median(runs: Sequence[Taken]) -> Taken:
    return Taken(*map(statistics.median, zip(*runs, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", nargs="*", choices=list(CONTENDERS)[1:], default=list(CONTENDERS)[1:])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    contenders = ["kraken-fleet", *chosen.against]
    figures = {hosts: measure(hosts, chosen.rounds, contenders) for hosts in chosen.hosts}
    if chosen.json:
        print(json.dumps({hosts: _as_dicts(found) for hosts, found in figures.items()}, indent=1))
        return
    print(f"{'hosts':>5}  {'contender':24}{'':10}{'wall':>9}{'ratio':>7}{'CPU':>9}{'ratio':>7}")
    for hosts, found in figures.items():
        for name, kinds in found.items():
            for kind, taken in kinds.items():
                ours = found["kraken-fleet"][kind]
                print(
                    f"{hosts:>5}  {name:24}{kind:10}{taken.wall:>8.1f}s{taken.wall / ours.wall:>7.2f}"
                    f"{taken.cpu:>8.1f}s{taken.cpu / ours.cpu:>7.2f}"
                )


def _as_dicts(found: dict[str, dict[str, Taken]]) -> dict[str, dict[str, dict[str, float]]]:
    return {name: {kind: taken._asdict() for kind, taken in kinds.items()} for name, kinds in found.items()}


if __name__ == "__main__":
    main()
