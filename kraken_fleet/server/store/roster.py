"""What is known of each agent without asking the database: enough to answer an idle agent's poll.

Most messages are polls of idle agents. They must not cost a query or a commit, so the few facts they need are kept here
and thrown away whenever a row changes; when each agent was last seen is written in batches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from kraken_fleet.listen.peers import share_of
from kraken_fleet.server.store.tables import Agent

_TABLE = cast(Table, Agent.__table__)


@dataclass(frozen=True, slots=True)
class Entry:
    """`active`: the record is alive and active, so a message of it changes nothing but `last_seen`."""

    id: int
    authorized: bool
    idle: bool
    active: bool
    peer: str | None = None


class Discovered:
    """The agents that wait to be authorized: where each connects from, and how many connect from one place."""

    def __init__(self) -> None:
        self._shares: dict[str, str] = {}
        self.by_share: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._shares)

    def __contains__(self, address: str) -> bool:
        return address in self._shares

    def add(self, address: str, peer: str | None) -> None:
        """Count an agent, once, where it connects from now."""
        self.discard(address)
        share = self._shares[address] = share_of(peer)
        self.by_share[share] += 1

    def discard(self, address: str) -> None:
        """Count an agent no more."""
        share = self._shares.pop(address, None)
        if share is not None:
            self.by_share[share] -= 1
            if not self.by_share[share]:
                del self.by_share[share]


class Roster:
    """Entries by address, and when each agent was last seen (by id, seconds since 1970).

    `discovered` are the agents that nobody has authorized yet.
    """

    def __init__(self) -> None:
        self.discovered = Discovered()
        self._authorized: dict[str, str | None] = {}
        self._peers: Counter[str | None] = Counter()
        self._refused: dict[int, str] = {}
        self._entries: dict[str, Entry] = {}
        self._seen: dict[int, float] = {}
        self._unwritten: set[int] = set()

    def remember(self, agent: Agent) -> None:
        """Keep what a record says; to be called after its changes were flushed."""
        self._entries[agent.address] = self.entry_of(agent)

    def entry_of(self, agent: Agent) -> Entry:
        """Return what a record says."""
        active = agent.state == 0 and agent.deleted is None
        return Entry(agent.id, agent.authorized, agent.job_id is None, active, agent.ip_address)

    def load(self, session: Session) -> None:
        """Read from the database which agents are authorized and which wait."""
        query = select(Agent.address, Agent.ip_address, Agent.authorized).where(Agent.deleted.is_(None))
        for address, peer, authorized in session.execute(query):
            self._place(address, peer, authorized=authorized)

    def is_known(self, peer: str | None) -> bool:
        """Say whether an authorized agent connects from there."""
        return peer in self._peers

    def is_authorized(self, address: str) -> bool:
        """Say whether it is the address of an authorized agent."""
        return address in self._authorized

    def refuse(self, agent_id: int, peer: str | None) -> None:
        """Note from where somebody else claimed the address of an authorized agent."""
        if peer is not None:
            self._refused[agent_id] = peer

    def refused(self, agent_id: int) -> str | None:
        """Return from where somebody else last claimed its address."""
        return self._refused.get(agent_id)

    def accept_refused(self, agent_id: int) -> str | None:
        """Return the same, and forget it."""
        return self._refused.pop(agent_id, None)

    def drop(self, address: str, agent_id: int) -> None:
        """Forget an agent whose record is gone."""
        self.forget(address)
        self.discovered.discard(address)
        self._seen.pop(agent_id, None)
        self._unwritten.discard(agent_id)

    def _place(self, address: str, peer: str | None, *, authorized: bool) -> None:
        if address in self._authorized:
            before = self._authorized.pop(address)
            self._peers[before] -= 1
            if not self._peers[before]:
                del self._peers[before]
        if authorized:
            self._authorized[address] = peer
            self._peers[peer] += 1
            self.discovered.discard(address)
        else:
            self.discovered.add(address, peer)

    def forget(self, address: str) -> None:
        """Drop an entry."""
        self._entries.pop(address, None)

    def known(self, address: str) -> Entry | None:
        """Return the entry when it is in memory."""
        return self._entries.get(address)

    def seen(self, agent_id: int, moment: float) -> None:
        """Note that the agent has sent a message."""
        self._seen[agent_id] = moment
        self._unwritten.add(agent_id)

    def last_seen(self, agent_id: int, written: float | None) -> float | None:
        """Return when it was last seen: from here, else what the database has."""
        return self._seen.get(agent_id, written)

    def forget_changed(self, session: Session, _context: Any) -> None:
        """Drop the entries of agents that a session has written, and count these anew."""
        for row in (*session.dirty, *session.new, *session.deleted):
            if isinstance(row, Agent):
                self.forget(row.address)
                self._place(row.address, row.ip_address, authorized=row.authorized)
                if row.deleted is not None:
                    self.discovered.discard(row.address)

    def write_seen(self, session: Session) -> int:
        """Write the times that were not written yet, all in one statement. Returns how many."""
        batch = [{"agent": agent_id, "seen": self._seen[agent_id]} for agent_id in self._unwritten]
        self._unwritten.clear()
        if batch:
            session.connection().execute(_WRITE_SEEN, batch)
        return len(batch)


# Past the ORM: a whole fleet's times every second should cost next to nothing.
_WRITE_SEEN = update(_TABLE).where(_TABLE.c.id == bindparam("agent")).values(last_seen=bindparam("seen"))
