"""What a reader of the documentation has: a directory, an inventory, a password in a file, and a Kraken server.

The pages call the server https://kraken.example.com and the hosts build-1, build-2 and gpu-1.example.com. Commands and
files get the server's real address in its place, and what else the hosts are is in `host_vars`, beside the inventory.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import yaml

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.lab import processes
from kraken_fleet.server.testing import RunningServer, running
from tests.e2e.real_lab import RealLab, real_lab

ROOT = Path(__file__).resolve().parents[2]
SERVER, HOME = "https://kraken.example.com", "/home/me"
PORT = "8080"  # of the console
# Where the pages say that agents are, and in which agents groups.
ADDRESSES = {
    "build-1.example.com": ("10.0.0.21", "build"),
    "build-2.example.com": ("10.0.0.22", "build"),
    "gpu-1.example.com": ("10.0.0.31", "gpu"),
}
INVENTORIES = ("hosts.yml", "inventories/production/hosts.yml")


@dataclass(frozen=True)
class Surroundings:
    """Where a page's commands are typed.

    Args:
        directory: the current directory, and the home directory.
        url: of the Kraken server.
    """

    directory: Path
    url: str
    environment: Mapping[str, str]
    port: int

    def real(self, text: str) -> str:
        """Put the real server and directory, and a port that is free, into what a page says."""
        return text.replace(SERVER, self.url).replace(HOME, str(self.directory)).replace(PORT, str(self.port))

    def write(self, name: str, text: str) -> None:
        """Write a file as a page shows it."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.real(text), encoding="utf-8")


@contextmanager
def with_agents(directory: Path) -> Iterator[Surroundings]:
    """An embedded server with the pages' agents, which are authorized and in their groups; no hosts."""
    with running(directory / "kraken") as server:
        _populate(server)
        variables = {host: {"kraken_agent_address": address} for host, (address, _) in ADDRESSES.items()}
        yield _surroundings(directory, server.url, server.password, variables, {})


@contextmanager
def with_bare_hosts(directory: Path, driver: str, server: str) -> Iterator[Surroundings]:
    """Three lab hosts without agents, and a server that knows none."""
    # The path of a socket may have no more than 108 characters, and ssh's would be in the home directory.
    with (
        TemporaryDirectory(prefix="kf-") as sockets,
        real_lab(directory, "bare", len(ADDRESSES), driver, server) as lab,
    ):
        inventory = yaml.safe_load((lab.directory / "hosts.yml").read_text())["kraken_agents"]
        # The variables of the lab's group are for hosts; server and account are what the page says.
        shared = {name: value for name, value in inventory["vars"].items() if not name.startswith("kraken_server_")}
        hosts = zip(ADDRESSES, inventory["hosts"].values(), strict=True)
        variables = {host: {**shared, **values} for host, values in hosts}
        settings = lab.settings()
        password = Path(settings["KRAKEN_FLEET_PASSWORD_FILE"]).read_text().strip()
        ansible = {"ANSIBLE_CONFIG": settings["ANSIBLE_CONFIG"], "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        try:
            yield _surroundings(directory, settings["KRAKEN_FLEET_SERVER"], password, variables, ansible)
        finally:
            _remove_labs(directory, lab)


def _surroundings(
    directory: Path, url: str, password: str, variables: Mapping[str, Mapping[str, Any]], settings: Mapping[str, str]
) -> Surroundings:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KRAKEN_", "ANSIBLE_", "XDG_"))}
    environment = {
        **kept,
        "HOME": str(directory),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "KRAKEN_FLEET_PASSWORD_FILE": str(directory / ".kraken-password"),
        **settings,
    }
    made = Surroundings(directory, url, environment, _free_port())
    for name, text in {".kraken-password": password, ".vault-password": "secret"}.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(f"{text}\n")
    for inventory in INVENTORIES:
        made.write(inventory, yaml.safe_dump(_inventory()))
        for host, values in variables.items():
            made.write(str(Path(inventory).parent / "host_vars" / f"{host}.yml"), yaml.safe_dump(dict(values)))
    return made


def _inventory() -> dict[str, Any]:
    """The inventory of README, for pages that do not show one."""
    groups: dict[str, Any] = {
        "kraken_agents": {
            "hosts": {host: {} for host in ADDRESSES},
            "vars": {"kraken_server_url": SERVER, "kraken_server_user": "admin"},
        }
    }
    for host, (_, group) in ADDRESSES.items():
        groups.setdefault(f"kraken_group_{group}", {"hosts": {}})["hosts"][host] = {}
    return groups


def _populate(server: RunningServer) -> None:
    """Let the agents announce themselves, authorize them, and put them into their groups."""
    for address, _ in ADDRESSES.values():
        message = {"address": address, "msg": "get-job", "info": {"system": "debian-12", "system_type": "linux"}}
        requests.post(f"{server.url}/backend", json=message, timeout=60)
    with KrakenClient(server.url, PasswordCredentials(server.user, server.password)) as client:
        agents = {agent.address: agent.id for agent in client.agents(unauthorized=True)}
        client.set_authorized(list(agents.values()))
        groups = {name: client.create_group(name).id for name in sorted({group for _, group in ADDRESSES.values()})}
        everybody = next(group.id for group in client.groups() if group.name == "all")
        for address, group in ADDRESSES.values():
            client.set_agent_groups(agents[address], [everybody, groups[group]])


def _remove_labs(directory: Path, lab: RealLab) -> None:
    """Remove what a page that failed has left."""
    for left in directory.glob(".lab/*/"):
        if left != lab.directory:
            processes.stop(processes.running_in(left), patience=1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
