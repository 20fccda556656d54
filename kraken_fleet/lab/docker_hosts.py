"""Lab hosts in Docker: each a Debian with real systemd and sshd, with an address of its own on the lab's own bridge.

The driver's name may say which Debian: `docker:trixie`, or `docker:bookworm-bare` for hosts without Python.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kraken_fleet.errors import LabError
from kraken_fleet.lab import ssh
from kraken_fleet.lab.docker_engine import Engine
from kraken_fleet.lab.docker_image import Recipe, built_archive
from kraken_fleet.lab.driver import LabHost

_BOOT_SECONDS = 60.0
_AT_ONCE = 8
_POLL = 0.2
_SERVICE = "kraken-agent.service"


class DockerDriver:
    """Hosts that are containers.

    Args:
        recipe: what they are made of.

    Raises:
        LabError: there is no Docker engine.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._engine = Engine()
        self._gateway = "127.0.0.1"

    @property
    def server_address(self) -> str:
        """This machine's end of the bridge; known once hosts were created."""
        return self._gateway

    def create(self, directory: Path, names: Sequence[str]) -> tuple[LabHost, ...]:
        if not self._engine.has_image(self._recipe.image):
            with built_archive(self._recipe) as archive:
                self._engine.import_image(self._recipe.image, archive)
        key = ssh.own_key(directory / "hosts" / "ssh")
        self._gateway = self._engine.create_network(_prefix(directory), str(directory))
        addresses = [self._start(directory, name, key) for name in names]  # one by one, so that they come in order
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda address: ssh.wait_for_banner(address, seconds=_BOOT_SECONDS), addresses))
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
        found = self._engine.hosts(str(directory))
        check = ("systemctl", "is-active", "--quiet", _SERVICE)
        return {
            host.name: host.name in found and self._engine.output(found[host.name], *check) is not None
            for host in hosts
        }

    def destroy(self, directory: Path) -> None:
        self._engine.remove_all(str(directory))

    def _start(self, directory: Path, name: str, key: Path) -> str:
        """Start one host; its address."""
        public = key.with_suffix(".pub").read_text(encoding="utf-8")
        container = self._engine.start_host(
            self._recipe.image,
            f"{_prefix(directory)}-{name}",
            name,
            _prefix(directory),
            str(directory),
            {"/root/.ssh/authorized_keys": public},
        )
        return self._engine.address(container)

    def _host_keys(self, directory: Path, name: str) -> list[str]:
        """The host's public keys, read through the engine and not over the network."""
        container = self._engine.hosts(str(directory))[name]
        deadline = time.monotonic() + _BOOT_SECONDS
        while not (text := self._engine.output(container, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub")):
            # The engine cannot enter a container while systemd, booting, moves its processes to other control groups.
            if time.monotonic() > deadline:
                raise LabError("the host's SSH keys cannot be read", where=name)
            time.sleep(_POLL)
        return text.splitlines()

    def _variables(self, address: str, key: Path, known_hosts: Path) -> dict[str, object]:
        python = {"ansible_python_interpreter": "/usr/bin/python3"} if self._recipe.python else {}
        return {**ssh.variables(address, key, known_hosts), **python, "kraken_agent_address": address}


def driver(variant: str = "") -> DockerDriver:
    """The driver, as `load_driver` wants it; `variant` is what follows the colon of its name."""
    return DockerDriver(Recipe.parse(variant) if variant else Recipe())


def _prefix(directory: Path) -> str:
    """The name of the lab's network and the beginning of its containers' names: labs of one name may exist twice."""
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:8]
    return f"kraken-{directory.name}-{digest}"
