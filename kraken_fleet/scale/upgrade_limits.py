"""How many agents an upgrade in slices takes at a time, and how long it waits: the variables `kraken_upgrade_*`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory import Inventory

_PREFIX = "kraken_upgrade_"


@dataclass(frozen=True, slots=True)
class Limits:
    """The variables without their prefix; docs/lifecycle.md says what they mean.

    Args:
        serial: hosts of the first batch, of the second one, and so on.
        max_unavailable: agents of a group that may be out at once.
        max_fail_percentage: how many percent of a batch may fail before no other is begun.
        drain_timeout: in seconds.
        verify_timeout: in seconds.
    """

    serial: tuple[str, ...] = ("25%",)
    max_unavailable: str = "50%"
    max_fail_percentage: int = 0
    drain_timeout: int = 3600
    verify_timeout: int = 120

    @classmethod
    def of(cls, inventory: Inventory) -> Self:
        """Read them where the playbook does, at the first host.

        Raises:
            InventoryError: Ansible cannot read the inventory, or a value is no number.
        """
        host = next(iter(inventory.hosts()))
        names = {_PREFIX + one.name: one.name for one in fields(cls)}
        given = {names[name]: (name, value) for name, value in inventory.variables(host, names).items()}
        return cls(**{key: _read(host, name, key, value) for key, (name, value) in given.items()})


def _read(host: str, variable: str, key: str, value: object) -> Any:
    """Return a value as the playbook takes it.

    Raises:
        InventoryError: it has to be a number and is none.
    """
    if key == "serial":
        return tuple(map(str, value)) if isinstance(value, list) else tuple(str(value).split(","))
    if key == "max_unavailable":
        return str(value)
    try:
        return int(str(value))
    except ValueError as error:
        raise InventoryError(f"{value!r} is no whole number", host=host, variable=variable) from error
