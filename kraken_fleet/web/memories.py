"""What the commands of this account remember of a server: the console makes its plans with it, as they do."""

from __future__ import annotations

from kraken_fleet.api import KrakenClient
from kraken_fleet.reconcile import GroupMemory, Memories, NonceMemory
from kraken_fleet.state import state_dir


def nonces(client: KrakenClient) -> NonceMemory:
    """Return the secrets that were made for hosts of a server."""
    return NonceMemory(state_dir(), client.url)


def memories(client: KrakenClient) -> Memories:
    """Return these, and what is known of deleted agents groups."""
    return Memories(GroupMemory(state_dir()), nonces=nonces(client))
