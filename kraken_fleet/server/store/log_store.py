"""Log lines: from datagrams to the database in batches, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, asc, case, delete, desc, func, insert, literal, select, true, tuple_
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from kraken_fleet.listen import Limits, Refusals
from kraken_fleet.server.clock import now
from kraken_fleet.server.intake import LARGEST, Intake, RefusedError, mended
from kraken_fleet.server.store.database import Database
from kraken_fleet.server.store.tables import Job, LogLine, LogSize

_NUMBERS = {"lineno": 0, "branch": 0, "flow_kind": 0, "flow": 0, "run": 0, "job": 0, "step": -1, "agent": 0}
_WORDS = {"service": "unknown", "host": "", "path": "", "level": "INFO", "tool": ""}
# The other columns of a row, about.
_ROW_BYTES = 100
_MAX_WORD = 255
_CHUNK = 2000
_FULL_BYTES = 4 * 1024 * 1024
# Clocks differ; one that differs by more than this is wrong, and lines would be kept for ever or dropped at once.
_MAX_AGE, _MAX_AHEAD = 3653 * 86400.0, 86400.0
# Beyond this many waiting lines they are written at once instead of with the next tick.
_FULL = 500


class LogStore:
    """Takes datagrams, keeps lines.

    `unreadable` counts datagrams that were not a log record, or said something that cannot be kept.

    Args:
        db: where lines are kept.
        limits: how much of one record, of one job and in all.
        refusals: where refusals are written down.
    """

    def __init__(self, db: Database, limits: Limits, refusals: Refusals) -> None:
        self._db = db
        self._limits = limits
        self._refusals = refusals
        self._intake = Intake(limits)
        self._waiting: list[dict[str, Any]] = []
        self._waiting_bytes = 0
        self.unreadable = 0

    def take(self, datagram: bytes, peer: str | None = None) -> None:
        """Keep a record for the next write. A record of several lines becomes as many rows, as in the real store."""
        try:
            rows = _rows(self._intake.decode(datagram, mending=True), self._limits.log_lines_per_record)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RefusedError) as error:
            self.unreadable += 1
            self._refusals.note("log record", peer, f"{peer}: {error}")
            return
        self._waiting += rows
        self._waiting_bytes += len(datagram)
        if len(self._waiting) >= _FULL or self._waiting_bytes >= _FULL_BYTES:
            self.write()

    def write(self) -> None:
        """Write all waiting lines in one transaction, as far as their jobs' logs have room."""
        if not self._waiting:
            return
        batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        with self._db.write() as session:
            kept = self._with_room(session, batch)
            if kept:
                session.execute(insert(LogLine), kept)

    def _with_room(self, session: Session, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the lines that fit into the logs of their jobs, and one line for each log that is full."""
        numbers = {row["job"] for row in batch}
        # What names no job of this server is kept with what belongs to none: nobody fills the disk with made-up jobs.
        known = set(session.scalars(select(Job.id).where(Job.id.in_(numbers))))
        found = session.execute(select(LogSize.job, LogSize.size).where(LogSize.job.in_(known | {0})))
        sizes = {row.job: row.size for row in found}
        before, kept = dict(sizes), []
        for row in batch:
            owner = row["job"] if row["job"] in known else 0
            size, most = sizes.get(owner, 0), self._limits.log_bytes_per_job
            if size > most:
                continue
            sizes[owner] = size + len(row["message"].encode()) + _ROW_BYTES
            if sizes[owner] > most:
                row = {**row, "message": f"This log is larger than {most} bytes: the rest is not kept"}
                self._refusals.note("log_bytes_per_job", str(owner), f"the log of job {owner} is full")
            kept.append(row)
        changed = [{"job": job, "size": size} for job, size in sizes.items() if size != before.get(job)]
        if changed:
            statement = sqlite_insert(LogSize)
            session.execute(
                statement.on_conflict_do_update(index_elements=["job"], set_={"size": statement.excluded.size}), changed
            )
        return kept

    def count(self, *conditions: ColumnElement[bool]) -> int:
        """Say how many lines match, those still waiting included."""
        self.write()
        with self._db.read() as session:
            # Whoever asks for a log sees what has come until now, not what had been written at the last tick.
            return session.scalar(select(func.count()).select_from(LogLine).where(*conditions)) or 0

    def page(self, *conditions: ColumnElement[bool], order: str, start: int, limit: int) -> list[LogLine]:
        """Return matching lines by time, oldest first for `asc`."""
        self.write()
        turn = desc if order == "desc" else asc
        query = select(LogLine).where(*conditions).order_by(turn(LogLine.time), turn(LogLine.seq), turn(LogLine.id))
        with self._db.read() as session:
            return list(session.scalars(query.offset(start).limit(limit)))

    def chunks(self, *conditions: ColumnElement[bool]) -> Iterator[list[str]]:
        """Return the messages of all matching lines by time, some thousand at a time."""
        self.write()
        key = (LogLine.time, LogLine.seq, LogLine.id)
        last: tuple[float, int, int] | None = None
        while True:
            # Pages by key and not by offset: SQLite would read all the rows before an offset again for each page.
            query = select(*key, LogLine.message).where(*conditions).order_by(*key).limit(_CHUNK)
            if last is not None:
                query = query.where(tuple_(*key) > tuple_(*map(literal, last)))
            with self._db.read() as session:
                rows = session.execute(query).all()
            if not rows:
                return
            yield [row.message for row in rows]
            last = (rows[-1].time, rows[-1].seq, rows[-1].id)

    def drop_older(self, seconds: float) -> None:
        """Delete lines older than so many seconds, and the oldest ones while all of them are too many."""
        with self._db.write() as session:
            _delete(session, LogLine.time < now() - seconds)
            self._make_room_for_services(session)
            total = session.scalar(select(func.sum(LogSize.size))) or 0
            if total <= self._limits.log_bytes:
                return
            # Lines are about evenly large: so much of the oldest goes that a tenth of the room is free again.
            edge = _edge(session, true(), 1 - 0.9 * self._limits.log_bytes / total)
            self._refusals.note("log_bytes", None, f"the logs have {total} bytes: the oldest lines are deleted")
            if edge is not None:
                _delete(session, LogLine.time <= edge)

    def _make_room_for_services(self, session: Session) -> None:
        """Delete the older half of the lines that belong to no job, when their room is nearly full."""
        size = session.scalar(select(LogSize.size).where(LogSize.job == 0)) or 0
        if size > 0.8 * self._limits.log_bytes_per_job:
            of_no_job = LogLine.job.not_in(select(Job.id))
            edge = _edge(session, of_no_job, 0.5)
            if edge is not None:
                _delete(session, and_(of_no_job, LogLine.time <= edge))


def _edge(session: Session, lines: ColumnElement[bool], part: float) -> float | None:
    """Return the time of the line before which this part of these lines was written."""
    count = session.scalar(select(func.count()).select_from(LogLine).where(lines)) or 0
    times = select(LogLine.time).where(lines).order_by(LogLine.time)
    return session.scalar(times.offset(int(count * part)).limit(1))


def _delete(session: Session, old: ColumnElement[bool]) -> None:
    """Delete lines and count the sizes of what is left anew."""
    if session.scalars(select(LogLine.id).where(old).limit(1)).first() is None:
        return
    session.execute(delete(LogLine).where(old))
    # Counted anew rather than subtracted: one pass over what is left, and no error can add up.
    session.execute(delete(LogSize))
    owner = case((LogLine.job.in_(select(Job.id)), LogLine.job), else_=0)
    size = func.sum(func.length(LogLine.message) + _ROW_BYTES)
    session.execute(insert(LogSize).from_select(["job", "size"], select(owner, size).group_by(owner)))


def _rows(record: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    common: dict[str, Any] = {name: _number(record.get(name), default) for name, default in _NUMBERS.items()}
    common |= {name: mended(record.get(name) or default)[:_MAX_WORD] for name, default in _WORDS.items()}
    common["time"] = _moment(record["@timestamp"])
    lines = mended(record["message"]).splitlines() or [""]
    if len(lines) > most:  # a row costs more than an empty line: the last row holds all the rest
        lines[most - 1 :] = ["\n".join(lines[most - 1 :])]
    return [{**common, "seq": seq, "message": line} for seq, line in enumerate(lines)]


def _number(value: Any, default: int) -> int:
    number = default if value is None else int(value)
    if abs(number) > LARGEST:
        raise ValueError("A number is larger than the database can hold")
    return number


def _moment(text: str) -> float:
    """Say when a line was written; now, when its clock is far off."""
    parsed = datetime.fromisoformat(text)
    moment, present = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp(), now()
    return moment if present - _MAX_AGE < moment < present + _MAX_AHEAD else present
