"""Deploys one end state to N lab hosts with kraken-fleet, plain Ansible, plain Ansible under mitogen, and pyinfra.

    python bench/deploy.py --hosts 8 16 32 --rounds 3

Each run is printed when it ends, and the medians when all rounds of a number of hosts are over. When a run fails, the
medians of the runs before it are printed, the other numbers of hosts are measured all the same, and the exit code is 1.
With --checkout other checkouts of kraken-fleet take part; each is a directory with a `.venv` as in bench/unchanged.py.

Needs root and Docker, and the packages of the dependency group `bench`. The contenders take turns, each first on hosts
that were made bare again and then once more with nothing to do. All open their SSH connections anew in each run.
Registration on the server is left out: only kraken-fleet has it. What it does besides the common end state stays in:
Python, Git and the way to the server are looked at on every host, and a service is believed only when it says it is up.

Seconds are wall time, and CPU time of this machine's side of the deploy; hosts and other work share the machine, which
CPU time shows less of. The load average is that before the run. Ratios are to kraken-fleet's medians.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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


class FailedRunError(Exception):
    """A command that was measured, or that prepares a measurement, has failed."""


class Taken(NamedTuple):
    """Seconds of a deploy: on the clock, and of this side's CPUs."""

    wall: float
    cpu: float


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


OURS = "kraken-fleet"
Figures = dict[str, dict[str, Taken]]
"""Of each contender, what it took on fresh hosts and on unchanged ones."""


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
            raise FailedRunError(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
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


Contender = Callable[[Lab], Taken]


def with_kraken_fleet(lab: Lab, checkout: Path = ROOT) -> Taken:
    programs = PROGRAMS if checkout == ROOT else checkout / ".venv" / "bin"
    return lab.run(
        programs / "ansible-playbook",
        *(checkout / "playbooks" / "deploy-agents.yml", "--tags", "agent"),
        ANSIBLE_COLLECTIONS_PATH=str(checkout / "collections"),
    )


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


CONTENDERS: dict[str, Contender] = {
    OURS: with_kraken_fleet,
    "pyinfra": with_pyinfra,
    "plain Ansible, mitogen": with_mitogen,
    "plain Ansible": with_plain_ansible,
}


def measure(hosts: int, rounds: int, contenders: Mapping[str, Contender]) -> tuple[Figures, str]:
    """Print each run as it ends; return the medians, fresh and unchanged, of those that ended, and what has failed."""
    taken: dict[str, dict[str, list[Taken]]] = {name: {"fresh": [], "unchanged": []} for name in contenders}
    failed = ""
    try:
        with lab(hosts) as made:
            for _ in range(rounds):
                for name, contender in contenders.items():
                    made.make_bare()
                    for kind, runs in taken[name].items():
                        made.hang_up()
                        load = os.getloadavg()[0]
                        runs.append(contender(made))
                        _row(hosts, name, kind, runs[-1], f"load {load:.1f}")
    except (FailedRunError, subprocess.CalledProcessError) as error:
        failed = str(error)
    medians = {name: {kind: _median(runs) for kind, runs in kinds.items() if runs} for name, kinds in taken.items()}
    return medians, failed


def _median(runs: Sequence[Taken]) -> Taken:
    return Taken(*map(statistics.median, zip(*runs, strict=True)))


def _row(hosts: int, name: str, kind: str, taken: Taken, note: str) -> None:
    # What is printed while it runs is no part of the document that --json asks for.
    print(
        f"{hosts:>5}  {name:24}{kind:10}{taken.wall:>8.1f} s{taken.cpu:>8.1f} s CPU  {note}",
        file=sys.stderr,
        flush=True,
    )


def _medians(hosts: int, found: Figures) -> None:
    for name, kinds in found.items():
        for kind, taken in kinds.items():
            ours = found[OURS][kind]
            ratios = f"ratios {taken.wall / ours.wall:.2f} and {taken.cpu / ours.cpu:.2f}"
            _row(hosts, name, kind, taken, f"median, {ratios}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", nargs="*", choices=list(CONTENDERS)[1:], default=list(CONTENDERS)[1:])
    parser.add_argument("--checkout", type=Path, nargs="*", default=[], help="other checkouts of kraken-fleet")
    parser.add_argument("--json", action="store_true", help="print the medians as one document")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    contenders = {name: CONTENDERS[name] for name in (OURS, *chosen.against)}
    for path in chosen.checkout:
        contenders[f"{OURS} in {path.name}"] = partial(with_kraken_fleet, checkout=path.resolve())
    figures: dict[int, Figures] = {}
    failures = 0
    for hosts in chosen.hosts:
        figures[hosts], failed = measure(hosts, chosen.rounds, contenders)
        _medians(hosts, figures[hosts])
        if failed:
            failures += 1
            print(f"{hosts:>5}  failed: {failed}", file=sys.stderr, flush=True)
    if chosen.json:
        print(json.dumps({hosts: _as_dicts(found) for hosts, found in figures.items()}, indent=1))
    sys.exit(failures > 0)


def _as_dicts(found: Figures) -> dict[str, dict[str, dict[str, float]]]:
    return {name: {kind: taken._asdict() for kind, taken in kinds.items()} for name, kinds in found.items()}


if __name__ == "__main__":
    main()
