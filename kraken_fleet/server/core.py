"""The parts of a running server, held together."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from kraken_fleet.listen import AttemptLimit, Refusals, Turns
from kraken_fleet.server.clock import now
from kraken_fleet.server.intake import Intake
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.sockets import host_port, outward_address
from kraken_fleet.server.store.database import Database, telling
from kraken_fleet.server.store.log_ins import LogIns
from kraken_fleet.server.store.log_store import LogStore
from kraken_fleet.server.store.roster import Roster
from kraken_fleet.server.store.seed import fill, follow_addresses
from kraken_fleet.server.store.tables import Setting

log = logging.getLogger(__name__)

# Clients ask after the last one of theirs.
_DELETIONS = 100
# Passwords that are hashed at a time: each takes a core for a while, and agents need one too.
_HASHES = max(1, (os.cpu_count() or 1) // 2)


@dataclass
class Core:
    """What routes, the agents' endpoint and the watchdog share. Everything here is used from one thread only.

    `agent_cfg` says to agents where to send logs, and the server's version; `no_job` is the whole answer to an idle
    agent's poll, ready to send. `built` says whether kkagent and kktool in the data directory are of this program;
    whoever builds them holds `building`. `deletions` are the last deleted agents: id and time.
    """

    settings: ServerSettings
    db: Database
    roster: Roster
    logs: LogStore
    intake: Intake
    attempts: AttemptLimit
    refusals: Refusals
    log_ins: LogIns
    turns: Turns = field(default_factory=Turns)
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HASHES))
    building: asyncio.Lock = field(default_factory=asyncio.Lock)
    built: bool = False
    started: float = field(default_factory=now)
    agent_cfg: dict[str, object] = field(default_factory=dict)
    no_job: bytes = b""
    deletions: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_DELETIONS))

    @classmethod
    def open(cls, settings: ServerSettings, on_first_password: Callable[[str], None]) -> Core:
        """Open the data directory, filling it on a first start.

        Raises:
            DataDirectoryError: see Database.
            UsageError: see seed.fill.
        """
        db = Database(settings.data_dir, settings.limits.database_bytes)
        try:
            with telling(db.path), db.write() as session:
                if session.get(Setting, ("general", "server_url")) is None:
                    fill(session, settings, on_first_password)
                    session.flush()
                follow_addresses(session, settings)
        except BaseException:
            db.close()
            raise
        roster = Roster()
        db.on_flush(roster.forget_changed)
        with db.read() as session:
            roster.load(session)
        limits, refusals = settings.limits, Refusals(log)
        attempts = AttemptLimit(limits.wrong_passwords_per_account, limits.wrong_passwords_per_peer)
        logs, log_ins = LogStore(db, limits, refusals), LogIns()
        db.on_flush(log_ins.forget_changed)
        core = cls(settings, db, roster, logs, Intake(limits), attempts, refusals, log_ins)
        core.refresh()
        return core

    def close(self) -> None:
        """Write what is still in memory and close the database."""
        with self.db.write() as session:
            self.roster.write_seen(session)
        self.logs.write()
        self.db.close()

    def refresh(self) -> None:
        """Derive from the settings what goes with most answers to agents; to be called when settings have changed."""
        with self.db.read() as session:
            address = setting(session, "general", "clickhouse_addr")
        bound = host_port(outward_address(self.settings.host), self.settings.log_port)
        self.agent_cfg = {"cfg": {"clickhouse_addr": address or bound}, "version": self.settings.version}
        self.no_job = json.dumps({"job": {}, **self.agent_cfg}).encode()


def setting(session: Session, group: str, name: str) -> str:
    """Return a setting's value as text; empty when it is not set."""
    return session.scalars(select(Setting.value).where(Setting.group == group, Setting.name == name)).one()
