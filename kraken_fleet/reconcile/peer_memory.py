"""Keeps where agents connected from between two commands, so that a change of it becomes a finding."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kraken_fleet.model import Agent
from kraken_fleet.state import earlier_peers, keep_peers


class PeerMemory:
    """The memory in a state directory.

    An earlier peer stays in it, and each command reports the change, until somebody accepts the new peer. It is also
    forgotten when the agent is seen without authorization: to authorize it again is a decision, too.

    Args:
        directory: it need not be there.
        accept: keep the peers of now, whatever they were before.
    """

    def __init__(self, directory: Path, *, accept: bool = False) -> None:
        self._directory = directory
        self._accept = accept

    def compared(self, server: str, agents: Iterable[Agent]) -> dict[str, str]:
        """Return where each authorized agent of a server is to connect from, by its address, and remember it.

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
