"""What a lab needs from the technology that makes its hosts."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from kraken_fleet.errors import LabError

# Imported when chosen: a driver may need a library that only its users have.
_DRIVERS = {
    "local": "kraken_fleet.lab.local",
    "docker": "kraken_fleet.lab.docker_engine",
    "lxd": "kraken_fleet.lab.lxd_engine",
}
DRIVERS = tuple(_DRIVERS)


@dataclass(frozen=True, slots=True)
class LabHost:
    """One host of a lab.

    Args:
        name: its name in the inventory.
        address: the IP address that its agent claims.
        variables: what Ansible must know to reach it and to put an agent there.
    """

    name: str
    address: str
    variables: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), hash=False)


class Driver(Protocol):
    """Makes and removes hosts. A driver's module has a function `driver(variant)` which returns one of these.

    Everything that it makes carries the lab's directory in its name or label, so that `destroy` finds it without being
    told what there was: it is also called for labs whose making was interrupted.
    """

    @property
    def server_address(self) -> str:
        """The address of this machine that the hosts can reach; the lab's server listens there."""

    def create(self, directory: Path, names: Sequence[str]) -> tuple[LabHost, ...]:
        """Make hosts and wait until Ansible can reach them.

        Args:
            directory: the lab's own, where the driver may keep what it needs under `hosts/`.
            names: what the hosts are called.

        Raises:
            LabError: a host could not be made; what was made is left for `destroy`.
        """

    def alive(self, directory: Path, hosts: Sequence[LabHost]) -> Mapping[str, bool]:
        """Say whether each host, by name, is there and its agent runs."""

    def destroy(self, directory: Path) -> None:
        """Remove every host of a lab with all that runs there. Repeatable.

        Raises:
            LabError: something would not go.
        """


def load_driver(name: str) -> Driver:
    """Return the driver of that name, which may carry a variant: `docker:trixie`.

    Raises:
        LabError: there is none, or its library is not installed.
    """
    name, _, variant = name.partition(":")
    if name not in _DRIVERS:
        raise LabError(f"There is no lab driver {name!r}", hint=f"Choose one of {', '.join(DRIVERS)}")
    try:
        made: Driver = importlib.import_module(_DRIVERS[name]).driver(variant)
    except ModuleNotFoundError as error:
        hint = f"Install it with `pip install 'kraken-fleet[{name}]'`"
        raise LabError(f"The driver {name!r} needs the Python package {error.name!r}", hint=hint) from error
    return made
