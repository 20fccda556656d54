"""Lab hosts on the loopback network: each is a directory and an address, and nothing needs root.

Linux has all of 127.0.0.0/8 on the loopback interface, so an agent can connect from 127.0.0.11 and be another host than
the one on 127.0.0.12.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from kraken_fleet.errors import LabError
from kraken_fleet.lab import processes
from kraken_fleet.lab.driver import LabHost

_FIRST = ipaddress.IPv4Address("127.0.0.11")
_MOST = 200
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_.@+/-]+")


class LocalDriver:
    """Hosts that are directories; their agents are processes of this user."""

    @property
    def server_address(self) -> str:
        return "127.0.0.1"

    def create(self, directory: Path, names: Sequence[str]) -> tuple[LabHost, ...]:
        if len(names) > _MOST:
            raise LabError(f"{len(names)} hosts are more than this machine should run", hint=f"At most {_MOST}")
        root = _root(directory / "hosts")
        return tuple(self._create(root, number, name) for number, name in enumerate(names))

    def alive(self, directory: Path, hosts: Sequence[LabHost]) -> Mapping[str, bool]:
        return {host.name: bool(processes.running_in(directory / "hosts" / host.name)) for host in hosts}

    def destroy(self, directory: Path) -> None:
        # An agent that is being stopped may start one more process meanwhile.
        while found := processes.running_in(directory / "hosts"):
            processes.stop(found)
        if (directory / "hosts").is_symlink():
            shutil.rmtree((directory / "hosts").resolve(), ignore_errors=True)

    def _create(self, root: Path, number: int, name: str) -> LabHost:
        home = root / name
        home.mkdir(parents=True, exist_ok=True)
        address = str(_FIRST + number)
        variables: dict[str, object] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(home / "tmp"),
            "kraken_agent_address": address,
            "kraken_agent_dir": str(home / "kraken"),
            "kraken_agent_service_manager": "process",
        }
        if os.geteuid() == 0:
            # A lab leaves nothing on the machine, not even an account.
            variables |= {"kraken_agent_user": "root", "kraken_agent_allow_root": True}
        return LabHost(name, address, variables)


def _root(directory: Path) -> Path:
    """Return the directory of all hosts; elsewhere, with a link to it, when an agent's directory may not be called so.

    Units, sudoers and kraken.env have no room for blanks and the like, so agents refuse them (host/spec.py).
    """
    if _PLAIN_PATH.fullmatch(str(directory)):
        directory.mkdir(exist_ok=True)
        return directory
    elsewhere = Path(tempfile.mkdtemp(prefix="kraken-fleet-lab-"))
    directory.symlink_to(elsewhere)
    return elsewhere.resolve()


def driver(variant: str = "") -> LocalDriver:
    """Return the driver, as `load_driver` wants it.

    Raises:
        LabError: a variant was asked for.
    """
    if variant:
        raise LabError(f"The driver 'local' has no variant {variant!r}", hint="Leave out what follows the colon")
    return LocalDriver()
