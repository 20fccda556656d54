"""Lab hosts in system containers: each a Debian with real systemd and sshd, with an address on the lab's own bridge.

What makes the containers is an engine, Docker or LXD. The driver's name may say which Debian: `docker:trixie`, or
`lxd:bookworm-bare` for hosts without Python.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from kraken_fleet.errors import LabError
from kraken_fleet.lab import ssh
from kraken_fleet.lab.driver import LabHost
from kraken_fleet.lab.host_image import Recipe, archive_of

# On all that an engine makes for a lab, with the lab's directory as its value.
LABEL = "kraken_fleet.lab"
# On a container, with the name that the lab has for it.
HOST_LABEL = "kraken_fleet.host"
_BOOT_SECONDS = 60.0
# They boot at the same time on the same cores.
_BOOT_SECONDS_EACH = 5.0
_AT_ONCE = 8
_POLL = 0.2
_SERVICE = "kraken-agent.service"


class Engine(Protocol):
    """What makes system containers. Every method raises LabError when the engine does not do what is asked."""

    def has_image(self, image: str) -> bool:
        """Say whether an image is there already."""

    def import_image(self, image: str, archive: Path) -> None:
        """Make an image from a tar file of a root file system."""

    def create_network(self, lab: Path) -> str:
        """Make a bridge network; returns the address of this machine in it."""

    def start_hosts(self, lab: Path, image: str, names: Sequence[str], files: Mapping[str, str]) -> list[str]:
        """Start a container for each name, with systemd as its first process, in the lab's network.

        Args:
            files: absolute path -> content, put there before anything runs, for root's eyes only.

        Returns:
            their addresses, in order.
        """

    def output(self, lab: Path, name: str, *command: str) -> str | None:
        """Return what a command on a host prints; None when it fails, or the host is not there or does not run."""

    def remove_all(self, lab: Path) -> None:
        """Remove containers and networks of a lab, also those that are still being made."""


class SystemdHosts:
    """Hosts that are system containers.

    Args:
        engine: makes them.
        recipe: what they are made of.
    """

    def __init__(self, engine: Engine, recipe: Recipe) -> None:
        self._engine = engine
        self._recipe = recipe
        self._gateway = "127.0.0.1"

    @property
    def server_address(self) -> str:
        """This machine's end of the bridge; known once hosts were created."""
        return self._gateway

    def create(self, directory: Path, names: Sequence[str]) -> tuple[LabHost, ...]:
        if not self._engine.has_image(self._recipe.image):
            self._engine.import_image(self._recipe.image, archive_of(self._recipe))
        key = ssh.own_key(directory / "hosts" / "ssh")
        self._gateway = self._engine.create_network(directory)
        login = {"/root/.ssh/authorized_keys": key.with_suffix(".pub").read_text(encoding="utf-8")}
        addresses = self._engine.start_hosts(directory, self._recipe.image, names, login)
        patience = _BOOT_SECONDS + _BOOT_SECONDS_EACH * len(names)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda address: ssh.wait_for_banner(address, seconds=patience), addresses))
            keys = list(pool.map(lambda name: self._host_keys(directory, name), names))
        known_hosts = key.with_name("known_hosts")
        ssh.write_known_hosts(
            known_hosts, [(address, line) for address, lines in zip(addresses, keys, strict=True) for line in lines]
        )
        return tuple(
            LabHost(name, address, self._variables(address, key, known_hosts))
            for name, address in zip(names, addresses, strict=True)
        )

    def alive(self, directory: Path, hosts: Sequence[LabHost]) -> Mapping[str, bool]:
        check = ("systemctl", "is-active", "--quiet", _SERVICE)
        return {host.name: self._engine.output(directory, host.name, *check) is not None for host in hosts}

    def destroy(self, directory: Path) -> None:
        self._engine.remove_all(directory)

    def _host_keys(self, directory: Path, name: str) -> list[str]:
        """Return the host's public keys, read through the engine and not over the network."""
        deadline = time.monotonic() + _BOOT_SECONDS
        while not (text := self._engine.output(directory, name, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")):
            # An engine cannot enter a container while systemd, booting, moves its processes to other control groups.
            if time.monotonic() > deadline:
                raise LabError("The host's SSH keys cannot be read", where=name)
            time.sleep(_POLL)
        return text.splitlines()

    def _variables(self, address: str, key: Path, known_hosts: Path) -> dict[str, object]:
        # All hosts are alike, so Ansible need not look for a Python on each.
        python = {"ansible_python_interpreter": "/usr/bin/python3"} if self._recipe.python else {}
        return {**ssh.variables(address, key, known_hosts), **python, "kraken_agent_address": address}


def digest_of(lab: Path) -> str:
    """Tell labs of one name in different directories apart, in names that all of an engine's containers share."""
    return hashlib.sha256(str(lab).encode()).hexdigest()[:8]


@contextmanager
def as_lab_error(faults: type[Exception] | tuple[type[Exception], ...], what: str) -> Iterator[None]:
    """Raise LabError for an engine's own errors.

    Args:
        faults: those errors.
        what: what could not be done.

    Raises:
        LabError: one of them came.
    """
    try:
        yield
    except faults as error:
        raise LabError(f"{what}: {error}") from error
