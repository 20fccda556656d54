"""Deploys one end state to N lab hosts with kraken-fleet, plain Ansible, plain Ansible under mitogen, and pyinfra.

    python bench/deploy.py --hosts 1 4 8 --rounds 3

Needs root and Docker, and the packages of the dependency group `bench`. The contenders take turns, each first on hosts
that were made bare again and then once more with nothing to do. Registration on the server is left out: only
kraken-fleet has it. Figures are seconds of wall time; the ratio is to kraken-fleet's median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from kraken_fleet.bundle import build

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
HERE = Path(__file__).with_suffix("")
BARE = (
    "systemctl disable --now kraken-agent 2>/dev/null; rm -rf /opt/kraken /etc/systemd/system/kraken-agent.service; "
    "systemctl daemon-reload; userdel kraken 2>/dev/null; groupdel kraken 2>/dev/null; true"
)


@dataclass(frozen=True)
class Lab:
    """Hosts without agents."""

    folder: Path
    inventory: Path
    bundles: Path
    sha256: str
    environment: dict[str, str]

    def run(self, *command: str | Path, **environment: str) -> float:
        """Runs a command; gives its seconds."""
        started = time.monotonic()
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
        return time.monotonic() - started

    def make_bare(self) -> None:
        self.run(PROGRAMS / "ansible", "all", "-m", "ansible.builtin.raw", "-a", BARE)


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


def with_kraken_fleet(lab: Lab) -> float:
    return lab.run(PROGRAMS / "ansible-playbook", ROOT / "playbooks" / "deploy-agents.yml", "--tags", "prereqs,agent")


def with_plain_ansible(lab: Lab, **environment: str) -> float:
    given = {"bundle_dir": str(lab.bundles), "agent_sha256": lab.sha256, "server": _server(lab)}
    return lab.run(PROGRAMS / "ansible-playbook", HERE / "plain.yml", "-e", json.dumps(given), **environment)


def with_mitogen(lab: Lab) -> float:
    import ansible_mitogen

    strategies = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    return with_plain_ansible(lab, ANSIBLE_STRATEGY_PLUGINS=str(strategies), ANSIBLE_STRATEGY="mitogen_linear")


def with_pyinfra(lab: Lab) -> float:
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


CONTENDERS: dict[str, Callable[[Lab], float]] = {
    "kraken-fleet": with_kraken_fleet,
    "pyinfra": with_pyinfra,
    "plain Ansible, mitogen": with_mitogen,
    "plain Ansible": with_plain_ansible,
}


def measure(hosts: int, rounds: int) -> dict[str, dict[str, float]]:
    """The median seconds of each contender, fresh and unchanged."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"fresh": [], "unchanged": []} for name in CONTENDERS}
    with lab(hosts) as made:
        for _ in range(rounds):
            for name, deploy in CONTENDERS.items():
                made.make_bare()
                seconds[name]["fresh"].append(deploy(made))
                seconds[name]["unchanged"].append(deploy(made))
    return {name: {kind: statistics.median(taken) for kind, taken in kinds.items()} for name, kinds in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    figures = {hosts: measure(hosts, chosen.rounds) for hosts in chosen.hosts}
    if chosen.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{'hosts':>5}  {'contender':24}{'fresh':>8}{'ratio':>7}{'unchanged':>11}{'ratio':>7}")
    for hosts, contenders in figures.items():
        ours = contenders["kraken-fleet"]
        for name, taken in contenders.items():
            ratios = {kind: taken[kind] / ours[kind] for kind in taken}
            print(
                f"{hosts:>5}  {name:24}{taken['fresh']:>7.1f}s{ratios['fresh']:>7.2f}"
                f"{taken['unchanged']:>10.1f}s{ratios['unchanged']:>7.2f}"
            )


if __name__ == "__main__":
    main()
