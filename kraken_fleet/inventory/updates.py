"""Hosts whose agents follow the version of their server although nothing vouches for what it sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kraken_fleet.address import ServerAddress
from kraken_fleet.errors import UsageError
from kraken_fleet.model import UncheckedUpdates


def unchecked_updates(hostvars: Mapping[str, Mapping[str, object]]) -> Iterator[UncheckedUpdates]:
    """Find these hosts.

    Args:
        hostvars: the variables of each host. Templates that are not filled in are passed over.
    """
    for host, variables in hostvars.items():
        if variables.get("kraken_agent_update") == "server" and not _has_sums(variables):
            address = _server(variables)
            if address and not address.startswith("https://"):
                yield UncheckedUpdates(host, address)


def _has_sums(variables: Mapping[str, object]) -> bool:
    given = variables.get("kraken_agent_environment")
    name = "KRAKEN_AGENT_UPDATE_SHA256"
    return bool(variables.get("kraken_agent_update_sha256")) or (isinstance(given, Mapping) and bool(given.get(name)))


def _server(variables: Mapping[str, object]) -> str:
    """Return where the agent reaches its server; empty when that is not known."""
    text = str(variables.get("kraken_agent_server_url") or variables.get("kraken_server_url") or "")
    if not text or "{{" in text:
        return ""
    try:
        return ServerAddress.parse(text).root
    except UsageError:
        return ""  # said where addresses are checked
