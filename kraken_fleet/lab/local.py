"""Lab hosts on the loopback network: each is a directory and an address, and nothing needs root.

Linux has all of 127.0.0.0/8 on the loopback interface, so an agent can speak from 127.0.0.11 and be another host than
the one on 127.0.0.12.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from kraken_fleet.errors import LabError
from kraken_fleet.lab import processes
from kraken_fleet.lab.driver import LabHost

_FIRST = ipaddress.IPv4Address("127.0.0.11")
_MOST = 200


class LocalDriver:
    """Hosts that are directories; their agents are processes of this user."""

    @property
    def server_address(self) -> str:
        return "127.0.0.1"

    def create(self, directory: Path, names: Sequence[str]) -> tuple[LabHost, ...]:
        if len(names) > _MOST:
            raise LabError(f"{len(names)} hosts are more than this machine should run", hint=f"At most {_MOST}")
        return tuple(self._create(directory, number, name) for number, name in enumerate(names))

    def alive(self, directory: Path, hosts: Sequence[LabHost]) -> Mapping[str, bool]:
        return {host.name: bool(processes.running_in(directory / "hosts" / host.name)) for host in hosts}

    def destroy(self, directory: Path) -> None:
        # An agent that is being stopped may start one more process meanwhile.
        while found := processes.running_in(directory / "hosts"):
            processes.stop(found)

    def _create(self, directory: Path, number: int, name: str) -> LabHost:
        home = directory / "hosts" / name
        home.mkdir(parents=True, exist_ok=True)
        address = str(_FIRST + number)
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(home / "tmp"),
            "kraken_agent_address": address,
            "kraken_agent_dir": str(home / "kraken"),
            "kraken_agent_service_manager": "process",
        }
        return LabHost(name, address, variables)


def driver(variant: str = "") -> LocalDriver:
    """The driver, as `load_driver` wants it.

    Raises:
        LabError: a variant was asked for.
    """
    if variant:
        raise LabError(f"the driver 'local' has no variant {variant!r}", hint="Leave out what follows the colon")
    return LocalDriver()
