"""What is known of each agent without asking the database: enough to answer an idle agent's poll.

Most messages are polls of idle agents. They must not cost a query or a commit, so the few facts they need are kept here
and thrown away whenever a row changes; when each agent was last heard is written down in batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kraken_fleet.server.tables import Agent


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

    def find(self, session: Session, address: str) -> Entry | None:
        """The entry of an address, read from the database when it is not at hand; None when there is no record."""
        entry = self._entries.get(address)
        if entry is None:
            columns = (Agent.id, Agent.authorized, Agent.job_id, Agent.state, Agent.deleted)
            row = session.execute(select(*columns).where(Agent.address == address)).one_or_none()
            if row is None:
                return None
            settled = row.state == 0 and row.deleted is None
            entry = self._entries[address] = Entry(row.id, row.authorized, row.job_id is None, settled)
        return entry

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
                self._entries.pop(row.address, None)

    def write_seen(self, session: Session) -> int:
        """Writes the times that were not written yet, all in one statement. Returns how many."""
        batch = [{"id": agent_id, "last_seen": self._seen[agent_id]} for agent_id in self._unwritten]
        self._unwritten.clear()
        if batch:
            session.execute(update(Agent), batch)
        return len(batch)
