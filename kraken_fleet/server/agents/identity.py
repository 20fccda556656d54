"""Which peers an agent may connect from, and how many agents may wait to be authorized.

The protocol has no key: an agent is whatever address it claims. So an authorized agent may connect only from the peer
that it had when it was authorized. Another peer that claims its address is refused, until somebody authorizes the
agent again.
"""

from __future__ import annotations

from kraken_fleet.listen.peers import share_of
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.intake import RefusedError
from kraken_fleet.server.store.roster import Entry
from kraken_fleet.server.store.tables import Agent

# A record that waits to be authorized belongs to the peer that made it while that one still polls; an unauthorized
# agent does so every ten seconds. After that another peer may take the address, for hosts move. A peer that connects
# from the very address that it claims need not wait: its TCP connection shows that it has the address, and the other
# one only claims it.
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
            f"The agent {address} was authorized when it connected from {entry.peer}, and this comes from {peer}. "
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
        words = f"{limits.unknown_agents_per_peer} agents that connect from {share} wait to be authorized"
        raise RefusedError(429, f"{words}: authorize or delete some")
    if len(discovered) >= limits.unknown_agents:
        raise RefusedError(429, f"{limits.unknown_agents} agents wait to be authorized: authorize or delete some")


def take_peer(core: Core, agent: Agent) -> None:
    """Take over the peer that was refused last, if one was: the agent is authorized again."""
    if refused := core.roster.accept_refused(agent.id):
        agent.ip_address = refused
