"""What a deploy with nothing to do costs on local hosts, beside other checkouts of kraken-fleet.

    python bench/unchanged.py --hosts 40 100 --against ../before

Brings up one lab of local hosts with this checkout, deploys it, and then runs deploy-agents.yml of each checkout in
turns. A checkout is a directory with a `.venv` that has kraken-fleet and Ansible; what an agent consists of has to be
the same in all of them, for else there is something to do. CPU is that of Ansible and of all that it starts: on local
hosts what a host does itself is in it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

HERE = Path(__file__).resolve().parents[1]
_NOTHING = "changed=0 "


class Taken(NamedTuple):
    """Seconds of a deploy: on the clock, and of CPUs."""

    wall: float
    cpu: float


def deploy(checkout: Path, lab: Path, hosts: Sequence[str]) -> Taken:
    """Run the playbook of a checkout on some hosts of the lab."""
    folder = checkout / "collections"
    limit, config = lab / "limit", lab / f"{checkout.name}.cfg"
    limit.write_text("\n".join(hosts))
    lines = (lab / "ansible.cfg").read_text().splitlines()
    config.write_text(
        "\n".join(f"collections_path = {folder}" if "collections_path" in line else line for line in lines)
    )
    programs = checkout / ".venv" / "bin"
    environment = os.environ | {"ANSIBLE_CONFIG": str(config), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [programs / "ansible-playbook", "-i", lab / "hosts.yml", "--limit", f"@{limit}"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [*map(str, command), str(checkout / "playbooks" / "deploy-agents.yml")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    recap = done.stdout.partition("PLAY RECAP")[2]
    if done.returncode or recap.count(_NOTHING) != len(hosts):
        sys.exit(f"{checkout} had something to do, or failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(checkouts: Sequence[Path], lab: Path, hosts: Sequence[str], rounds: int) -> None:
    """Print each run as it ends, then the medians."""
    taken: dict[Path, list[Taken]] = {checkout: [] for checkout in checkouts}
    for _ in range(rounds):
        for checkout, runs in taken.items():
            load = os.getloadavg()[0]
            runs.append(deploy(checkout, lab, hosts))
            _row(len(hosts), checkout, runs[-1], f"load {load:.1f}")
    for checkout, runs in taken.items():
        _row(len(hosts), checkout, Taken(*map(statistics.median, zip(*runs, strict=True))), "median")


def _row(hosts: int, checkout: Path, taken: Taken, note: str) -> None:
    print(f"{hosts:>5}  {checkout.name:24}{taken.wall:>8.1f} s{taken.cpu:>8.1f} s CPU  {note}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[40, 100])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, nargs="*", default=[], help="other checkouts")
    parser.add_argument("--lab", type=Path, help="a lab that is up already: its directory .lab/NAME")
    chosen = parser.parse_args()
    checkouts = [HERE, *(path.resolve() for path in chosen.against)]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        fleet = [str(HERE / ".venv" / "bin" / "kraken-fleet"), "lab"]
        where = ["--name", "unchanged", "--dir", name]
        try:
            if not chosen.lab:
                subprocess.run([*fleet, "up", "--hosts", str(max(chosen.hosts)), *where], check=True)
            lab = chosen.lab or Path(name) / ".lab" / "unchanged"
            names = list(yaml.safe_load((lab / "hosts.yml").read_text())["kraken_agents"]["hosts"])
            for number in chosen.hosts:
                measure(checkouts, lab, names[:number], chosen.rounds)
        finally:
            if not chosen.lab:
                subprocess.run([*fleet, "down", *where], check=True)


if __name__ == "__main__":
    main()
