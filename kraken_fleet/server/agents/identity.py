"""Who may speak for an agent, and how many may ask to be one.

An agent has no key: it is who it says it is. So an agent that was authorized may speak only from where it spoke when it
was authorized. Whoever names its address from somewhere else is refused, until the agent is authorized again.
"""

from __future__ import annotations

from kraken_fleet.listen.peers import share_of
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.intake import RefusedError
from kraken_fleet.server.store.roster import Entry
from kraken_fleet.server.store.tables import Agent

# A record that waits to be authorized belongs to the peer that made it while that one still speaks: agents ask every
# ten seconds. After that another may have the address: hosts move. Whoever speaks from the very address that it claims
# need not wait: it has a connection from there, and the other one has only said so.
_STILL_THERE_SECONDS = 60.0


def check_peer(core: Core, address: str, entry: Entry, peer: str | None) -> None:
    """Refuse a peer that is not the agent's; return when it may take over a record that waits to be authorized.

    Raises:
        RefusedError: 403.
    """
    if entry.authorized:
        core.roster.refuse(entry.id, peer)
        raise RefusedError(
            403,
            f"The agent {address} was authorized when it spoke from {entry.peer}, and this comes from {peer}. "
            "If its host has moved, authorize it again",
        )
    if peer == address:
        return
    if now() - (core.roster.last_seen(entry.id, None) or 0.0) < _STILL_THERE_SECONDS:
        raise RefusedError(403, f"Another host, at {entry.peer}, asks to be the agent {address}")


def check_room(core: Core, peer: str | None) -> None:
    """Refuse one more agent that nobody knows when too many wait already.

    Raises:
        RefusedError: 429.
    """
    limits, discovered = core.settings.limits, core.roster.discovered
    share = share_of(peer)
    if discovered.by_share[share] >= limits.unknown_agents_per_peer:
        words = f"{limits.unknown_agents_per_peer} agents that speak from {share} wait to be authorized"
        raise RefusedError(429, f"{words}: authorize or delete some")
    if len(discovered) >= limits.unknown_agents:
        raise RefusedError(429, f"{limits.unknown_agents} agents wait to be authorized: authorize or delete some")


def take_peer(core: Core, agent: Agent) -> None:
    """Take over the peer that was refused last, if one was: the agent is authorized again."""
    if refused := core.roster.accept_refused(agent.id):
        agent.ip_address = refused
