"""What the inventory wants, for pages that compare it with what the server has."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from kraken_fleet.errors import FleetError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import ALL_GROUP, Agent, DesiredAgent, DesiredFleet, HostNames
from kraken_fleet.web.settings import ConsoleSettings

# Reading an inventory starts ansible-inventory, about a second: once in a while is enough for a page.
_FRESH_SECONDS = 30.0


class _Kept:
    """The last inventory that was read, with its time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inventory: Inventory | None = None
        self.read_at = 0.0
        self.fleet = DesiredFleet()
        self.names = HostNames()
        self.named: Inventory | None = None
        self.names_at = 0.0


_kept = _Kept()
_NO_NAMES = HostNames()


def desired_fleet(settings: ConsoleSettings) -> DesiredFleet:
    """Return the inventory's fleet; empty when the console was started without an inventory.

    Raises:
        InventoryError: the inventory is wrong.
    """
    inventory = settings.inventory
    if not inventory:
        return DesiredFleet()
    with _kept.lock:
        if _kept.inventory is not inventory or time.monotonic() - _kept.read_at > _FRESH_SECONDS:
            _kept.fleet = inventory.anew().fleet()
            _kept.inventory, _kept.read_at = inventory, time.monotonic()
        return _kept.fleet


def desired_by_address(settings: ConsoleSettings) -> Mapping[str, DesiredAgent]:
    return desired_fleet(settings).by_address()


def host_names(settings: ConsoleSettings) -> HostNames:
    """Return what the inventory calls agents; pages show them beside addresses, and do without when it is wrong.

    Only the first page waits for the inventory. Later ones have what was read last, while it is read anew.
    """
    inventory = settings.inventory
    if not inventory:
        return _NO_NAMES
    if _kept.named is not inventory:
        _read_names(settings)
    elif time.monotonic() - _kept.names_at > _FRESH_SECONDS:
        # Set at once, so that the next page does not read it too.
        _kept.names_at = time.monotonic()
        threading.Thread(target=_read_names, args=(settings,), name="reading the inventory", daemon=True).start()
    return _kept.names


def _read_names(settings: ConsoleSettings) -> None:
    try:
        names = HostNames(desired_by_address(settings))
    except FleetError:
        names = HostNames()  # the Fleet page says what is wrong with it
    _kept.names, _kept.named, _kept.names_at = names, settings.inventory, time.monotonic()


def difference(wanted: DesiredAgent, agent: Agent) -> list[str]:
    """Say how one agent differs from what the inventory says of it, in sentences."""
    found = []
    has = agent.group_names - {ALL_GROUP}
    if not agent.authorized:
        found.append("is not authorized")
    found += [f"is not in group {name}" for name in sorted(wanted.groups - has)]
    found += [f"is in group {name}, which the inventory does not ask for" for name in sorted(has - wanted.groups)]
    if wanted.enabled is not None and wanted.enabled != agent.enabled:
        found.append("should be enabled" if wanted.enabled else "should be disabled")
    if agent.host_info:
        found += _host_differences(wanted, agent)
    return found


def _host_differences(wanted: DesiredAgent, agent: Agent) -> list[str]:
    assert agent.host_info is not None  # noqa: S101 - the caller looked
    found = []
    if wanted.system and wanted.system != agent.host_info.system:
        found.append(f"reports system {agent.host_info.system}, not {wanted.system}")
    missing = wanted.executors - agent.host_info.executors.keys()
    return found + [f"lacks executor {name}" for name in sorted(missing)]
