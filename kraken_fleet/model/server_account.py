"""What one place, such as an inventory or the environment, says of the server and of the account there."""

from __future__ import annotations

from dataclasses import dataclass, field

from kraken_fleet.errors import FleetError


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """What one place says. Empty where it says nothing.

    Args:
        name: the place, for messages.
        locked: why the account of this place cannot be read, such as one in a vault whose password was not given.
    """

    name: str
    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_bundle: str = ""
    locked: FleetError | None = None
