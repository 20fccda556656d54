"""A small fleet of loopback hosts for tests: an embedded server as its own process, an inventory, and playbook runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import process

from kraken_fleet import bundle
from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.model import Agent
from tests.contract.embedded import Embedded

ROOT = Path(__file__).resolve().parents[2]
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only has not been buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Played:
    """What a run of ansible-playbook said."""

    code: int
    text: str

    @property
    def changed(self) -> dict[str, int]:
        return {match[1]: int(match[3]) for match in _RECAP.finditer(self.text)}

    @property
    def failed(self) -> dict[str, bool]:
        return {match[1]: match[4] != "0" or match[5] != "0" for match in _RECAP.finditer(self.text)}

    @property
    def diffs(self) -> str:
        """The diffs alone, all tasks and hosts, in their order."""
        kept = (line for line in self.text.splitlines() if line.startswith(("+", "-", "@", " ")))
        return "\n".join(kept)

    @property
    def message(self) -> str:
        """Everything in one line, the way a person reads it."""
        return " ".join(self.text.split())


@dataclass
class Fleet:
    """Hosts in a directory.

    Args:
        directory: the hosts' own directories and the inventory are made here.
        inventory: the inventory; tests change it before they play.
    """

    directory: Path
    server: Embedded
    inventory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, directory: Path, server: Embedded, hosts: dict[str, str]) -> Fleet:
        """A fleet of hosts, given by name and address."""
        bundle.build(directory / "bundle")
        (directory / "password").touch(mode=0o600)
        (directory / "password").write_text(server.password)
        fleet = cls(directory, server)
        fleet.inventory = {
            "kraken_agents": {
                "hosts": {
                    name: {"kraken_agent_address": address, "kraken_agent_dir": str(fleet.home(name))}
                    for name, address in hosts.items()
                },
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    "kraken_agent_service_manager": "process",
                    # As root an account would be made on this very machine.
                    "kraken_agent_user": "root",
                    "kraken_agent_allow_root": True,
                    "kraken_agent_bundle": str(directory / "bundle"),
                    "kraken_agent_drain_seconds": 2,
                    "kraken_server_url": server.url,
                    "kraken_server_user": "admin",
                    "kraken_server_password": f"{{{{ lookup('ansible.builtin.file', '{directory}/password') }}}}",
                },
            }
        }
        return fleet

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of all hosts."""
        found: dict[str, Any] = self.inventory["kraken_agents"]["vars"]
        return found

    def host(self, name: str) -> dict[str, Any]:
        """The variables of one host."""
        found: dict[str, Any] = self.inventory["kraken_agents"]["hosts"][name]
        return found

    def home(self, name: str) -> Path:
        return self.directory / "hosts" / name

    def play(self, playbook: str, *arguments: str, **environment: str) -> Played:
        """Runs a playbook of the checkout, one host after another so that the output has one order."""
        command, settings = self.prepared(playbook, *arguments, **environment)
        done = subprocess.run(command, cwd=self.directory, env=settings, capture_output=True, text=True, check=False)
        return Played(done.returncode, f"{done.stdout}\n{done.stderr}")

    def prepared(self, playbook: str, *arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
        """Writes the inventory; the command that runs a playbook, and its environment."""
        sources = self.directory / "inventory"
        sources.mkdir(exist_ok=True)
        (sources / "hosts.yml").write_text(yaml.safe_dump(self.inventory))
        file = ROOT / "playbooks" / playbook if "/" not in playbook else playbook
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KRAKEN_"))}
        kept["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "agent")])
        kept |= {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORKS": "1",
        } | environment
        return [sys.executable, "-m", "ansible", "playbook", "-i", str(sources), str(file), *arguments], kept

    def client(self) -> KrakenClient:
        return KrakenClient(self.server.url, PasswordCredentials("admin", self.server.password))

    def agents(self) -> dict[str, Agent]:
        """What the server knows of this fleet's agents, by address."""
        mine = {str(one.get("kraken_agent_address")) for one in self.inventory["kraken_agents"]["hosts"].values()}
        with self.client() as client:
            everyone = [*client.agents(), *client.agents(unauthorized=True)]
        return {agent.address: agent for agent in everyone if agent.address in mine}

    def pid(self, name: str) -> int:
        """The number of a host's agent process."""
        return int((self.home(name) / "agent.pid").read_text().split()[0])

    def stop(self) -> None:
        """Ends the agents that run; they end their jobs first, whose processes would go on without them."""
        for file in self.directory.glob("hosts/*/agent.pid"):
            process.stop(str(file.parent), drain_seconds=10)
