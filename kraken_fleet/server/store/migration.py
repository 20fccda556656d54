"""Brings a database of an older version up to this one."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, text, update

from kraken_fleet.listen import plain_address
from kraken_fleet.server.store.tables import SCHEMA_VERSION, Agent, Base, LogLine, LogSize

OLDEST_VERSION = 2


def bring_up(connection: Connection) -> None:
    """Bring an older database to this program's version, all of it or nothing.

    2 to 3: tables for the sizes of logs and for webhooks that came; agents' peers in the usual way of writing, because
    an authorized agent may connect from its peer only.
    """
    if connection.execute(text("PRAGMA user_version")).scalar_one() == SCHEMA_VERSION:
        return
    # It makes the tables that are missing, and leaves those that are there as they are.
    Base.metadata.create_all(connection)
    sizes = select(LogLine.job, func.sum(func.length(LogLine.message) + 100)).group_by(LogLine.job)
    connection.execute(insert(LogSize).from_select(["job", "size"], sizes))
    for agent_id, peer in connection.execute(select(Agent.id, Agent.ip_address)).all():
        if peer is not None and plain_address(peer) != peer:
            connection.execute(update(Agent).where(Agent.id == agent_id).values(ip_address=plain_address(peer)))
    connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
