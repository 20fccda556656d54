"""Where agents spoke from, kept from one command to the next: one that speaks from elsewhere then is a finding."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kraken_fleet.model import Agent
from kraken_fleet.state import earlier_peers, keep_peers


class PeerMemory:
    """The memory in a state directory.

    A peer that has changed stays in it, and is told of each time, until somebody accepts the new one or the agent is
    seen without authorization: letting it in again is a decision, too.

    Args:
        directory: it need not be there.
        accept: take the peers of now for right, whatever was before.
    """

    def __init__(self, directory: Path, *, accept: bool = False) -> None:
        self._directory = directory
        self._accept = accept

    def compared(self, server: str, agents: Iterable[Agent]) -> dict[str, str]:
        """Return where each authorized agent of a server is to speak from, by its address, and remember it.

        Args:
            server: its URL.
            agents: all agents of the server.
        """
        now = {agent.address: agent.ip_address for agent in agents if agent.authorized and agent.ip_address}
        before = earlier_peers(self._directory, server)
        kept = now if self._accept else {address: before.get(address, peer) for address, peer in now.items()}
        if kept != before:
            keep_peers(self._directory, server, kept)
        return kept
