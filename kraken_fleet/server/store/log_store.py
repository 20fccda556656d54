"""Log lines: from datagrams to the database in batches, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, asc, delete, desc, func, insert, select

from kraken_fleet.server.clock import now
from kraken_fleet.server.store.database import Database
from kraken_fleet.server.store.tables import LogLine

_NUMBERS = {"lineno": 0, "branch": 0, "flow_kind": 0, "flow": 0, "run": 0, "job": 0, "step": -1, "agent": 0}
_WORDS = {"service": "unknown", "host": "", "path": "", "level": "INFO", "tool": ""}
# Beyond this many waiting lines they are written at once instead of with the next tick.
_FULL = 2000


class LogStore:
    """Takes datagrams, keeps lines.

    `unreadable` counts datagrams that were not a log record.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[dict[str, Any]] = []
        self.unreadable = 0

    def take(self, datagram: bytes) -> None:
        """Keeps a record for the next write. A record of several lines becomes as many rows, as in the real store."""
        try:
            record = json.loads(datagram)
            self._waiting += _rows(record)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            self.unreadable += 1
            return
        if len(self._waiting) >= _FULL:
            self.write()

    def write(self) -> None:
        """Writes all waiting lines in one transaction."""
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        with self._db.write() as session:
            session.execute(insert(LogLine), batch)

    def count(self, *conditions: ColumnElement[bool]) -> int:
        """How many lines match, those still waiting included."""
        self.write()
        with self._db.read() as session:
            return session.scalar(select(func.count()).select_from(LogLine).where(*conditions)) or 0

    def page(self, *conditions: ColumnElement[bool], order: str, start: int, limit: int) -> list[LogLine]:
        """Matching lines by time, oldest first for `asc`."""
        self.write()
        turn = desc if order == "desc" else asc
        query = select(LogLine).where(*conditions).order_by(turn(LogLine.time), turn(LogLine.seq), turn(LogLine.id))
        with self._db.read() as session:
            return list(session.scalars(query.offset(start).limit(limit)))

    def drop_older(self, seconds: float) -> None:
        """Deletes lines older than so many seconds."""
        with self._db.write() as session:
            session.execute(delete(LogLine).where(LogLine.time < now() - seconds))


def _rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    common: dict[str, Any] = {name: _number(record.get(name), default) for name, default in _NUMBERS.items()}
    common |= {name: _text(record.get(name) or default) for name, default in _WORDS.items()}
    common["time"] = _moment(record["@timestamp"])
    lines = _text(record["message"]).splitlines() or [""]
    return [{**common, "seq": seq, "message": line} for seq, line in enumerate(lines)]


def _number(value: Any, default: int) -> int:
    number = default if value is None else int(value)
    if abs(number) >= 2**63:
        raise ValueError("larger than the database can hold")
    return number


def _text(value: Any) -> str:
    # Half a surrogate pair is valid JSON but no text: it must not cost the whole batch.
    return str(value).encode("utf-8", "replace").decode()


def _moment(text: str) -> float:
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
