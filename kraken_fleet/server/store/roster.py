"""What is known of each agent without asking the database: enough to answer an idle agent's poll.

Most messages are polls of idle agents. They must not cost a query or a commit, so the few facts they need are kept here
and thrown away whenever a row changes; when each agent was last heard is written down in batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, bindparam, update
from sqlalchemy.orm import Session

from kraken_fleet.server.store.tables import Agent

_TABLE = cast(Table, Agent.__table__)


@dataclass(frozen=True, slots=True)
class Entry:
    """`settled`: the record is alive and active, so hearing from it changes nothing but `last_seen`."""

    id: int
    authorized: bool
    idle: bool
    settled: bool


class Roster:
    """Entries by address, and when each agent was last heard (by id, seconds since 1970)."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._seen: dict[int, float] = {}
        self._unwritten: set[int] = set()

    def remember(self, agent: Agent) -> None:
        """Keeps what a record says; to be called after its changes were flushed."""
        settled = agent.state == 0 and agent.deleted is None
        self._entries[agent.address] = Entry(agent.id, agent.authorized, agent.job_id is None, settled)

    def forget(self, address: str) -> None:
        """Drops an entry."""
        self._entries.pop(address, None)

    def known(self, address: str) -> Entry | None:
        """The entry when it is at hand."""
        return self._entries.get(address)

    def heard(self, agent_id: int, moment: float) -> None:
        """Notes that the agent has spoken."""
        self._seen[agent_id] = moment
        self._unwritten.add(agent_id)

    def last_seen(self, agent_id: int, written: float | None) -> float | None:
        """When it was last heard: from here, else what the database has."""
        return self._seen.get(agent_id, written)

    def forget_changed(self, session: Session, _context: Any) -> None:
        """Session listener: drops the entries of agents that were written."""
        for row in (*session.dirty, *session.new, *session.deleted):
            if isinstance(row, Agent):
                self.forget(row.address)

    def write_seen(self, session: Session) -> int:
        """Writes the times that were not written yet, all in one statement. Returns how many."""
        batch = [{"agent": agent_id, "seen": self._seen[agent_id]} for agent_id in self._unwritten]
        self._unwritten.clear()
        if batch:
            session.connection().execute(_WRITE_SEEN, batch)
        return len(batch)


# Past the ORM: a whole fleet's times every second should cost next to nothing.
_WRITE_SEEN = update(_TABLE).where(_TABLE.c.id == bindparam("agent")).values(last_seen=bindparam("seen"))
