"""The audit log: who changed what, when, from where, and how it ended. One for the command line, console and playbooks.

Each change is a line of JSON at the end of one file. Several processes may write at once, and rotate the file.
"""

from __future__ import annotations

import dataclasses
import fcntl
import getpass
import json
import logging
import os
import socket
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Change
from kraken_fleet.state import state_dir

log = logging.getLogger(__name__)

PATH_VARIABLE = "KRAKEN_FLEET_AUDIT_LOG"
MAX_BYTES = 10_000_000
KEPT_FILES = 10


@dataclass(frozen=True, slots=True)
class Origin:
    """Where changes come from.

    Args:
        who: the person: an account of this machine, or whoever signed in to the console.
        program: "kraken-fleet agents disable", "ansible-playbook deploy-agents.yml", "console".
        place: the address of a person's browser, or the name of the machine that the program runs on.
    """

    who: str
    program: str
    place: str


class AuditLog:
    """The file with the audit log; readable by its owner only, until somebody changes its mode.

    Args:
        path: the file.
        required: refuse changes that cannot be recorded; otherwise they are made, and the program's log says so.
        max_bytes: how large the file grows before it is renamed to PATH.1, and that to PATH.2, and so on.
        kept: how many renamed files are kept.
    """

    def __init__(
        self, path: Path, *, required: bool = True, max_bytes: int = MAX_BYTES, kept: int = KEPT_FILES
    ) -> None:
        self.path = path
        self._required = required
        self._max_bytes, self._kept = max_bytes, kept
        # Kept open, since a deploy may write ten thousand lines; other threads and processes write into the same file.
        self._handler: _Handler | None = None
        self._writing = threading.Lock()

    def check(self) -> None:
        """See whether a line could be written.

        Raises:
            FleetError: it cannot, and has to.
        """
        try:
            with self._writing:
                if not self._is_open():
                    with self._locked():
                        self._opened()
        except OSError as error:
            self._failed(error)

    def write(self, origin: Origin, change: Change, server: str = "", account: str = "") -> None:
        """Add a line.

        Args:
            server: the URL of the server that was changed; empty when the change is of this machine only.
            account: whose rights were used there.
        """
        record = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "who": origin.who,
            "account": account,
            "program": origin.program,
            "from": origin.place,
            "server": server,
            **dataclasses.asdict(change),
        }
        # ASCII only: a name with characters that a terminal acts on stays readable text.
        line = json.dumps(record, ensure_ascii=True)
        try:
            with self._writing, self._locked():
                self._opened().emit(logging.makeLogRecord({"msg": line}))
        except OSError as error:
            # What was changed is changed, and its caller has to know how it ended.
            log.warning("A change could not be written to the audit log %s: %s: %s", self.path, error, line)

    def _failed(self, error: OSError) -> None:
        if self._required:
            raise FleetError(
                f"The audit log cannot be written ({error.strerror}), so nothing is changed",
                where=str(self.path),
                hint=f"Make it writable for this account, or name another file in {PATH_VARIABLE}",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off other processes that write or rotate: the lock is on the directory, as files get other names."""
        try:
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)

    def _is_open(self) -> bool:
        """Say whether the open file is still the one with this name: another process may have rotated or removed it."""
        if self._handler is None or self._handler.stream is None:
            return False
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._handler.stream.fileno()))
        except FileNotFoundError:
            return False

    def _opened(self) -> _Handler:
        if self._handler is not None and self._is_open():
            return self._handler
        if self._handler is not None:
            self._handler.close()
        handler = _Handler(self.path, maxBytes=self._max_bytes, backupCount=self._kept, encoding="ascii")
        # Its file is closed with the log, and not only when Python ends.
        weakref.finalize(self, handler.close)
        self._handler = handler
        return handler


class _Handler(RotatingFileHandler):
    """Rotates as its parent does. A new file has the mode of the one before, so that a group may share it."""

    _mode = 0o600

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        if path.exists():
            self._mode = path.stat().st_mode & 0o777
        else:
            path.touch(mode=0o600)
            path.chmod(self._mode)
        return super()._open()

    def doRollover(self) -> None:  # noqa: N802 - logging's own name
        # Somebody may have changed it since the file was opened.
        self._mode = Path(self.baseFilename).stat().st_mode & 0o777
        super().doRollover()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Let a failure go to whoever writes, instead of printing it."""
        raise  # logging calls this in an `except` clause


@dataclass(frozen=True, slots=True)
class Recorder:
    """What a client of a server tells its changes to."""

    log: AuditLog
    origin: Origin
    server: str
    account: str

    def check(self) -> None:
        self.log.check()

    def record(self, change: Change) -> None:
        self.log.write(self.origin, change, self.server, self.account)


def audited(
    client: KrakenClient, origin: Origin, to: AuditLog | None = None, agents: Mapping[int, str] | None = None
) -> KrakenClient:
    """Return the same client, all of whose changes go to the audit log.

    Args:
        to: the log; None for the usual one.
        agents: addresses of agents by their ids, as far as somebody has just listed them.
    """
    return client.recorded(Recorder(to or usual_log(), origin, client.url, client.user or "a token"), agents)


def usual_log(environ: Mapping[str, str] = os.environ, directory: Path | None = None) -> AuditLog:
    """Return the log that KRAKEN_FLEET_AUDIT_LOG names, else `audit.log` in the state directory.

    Args:
        directory: the state directory; None for the usual one.
    """
    if named := environ.get(PATH_VARIABLE):
        return AuditLog(Path(named).expanduser())
    # An account may have no home to write to, and did not ask for a log.
    return AuditLog((directory or state_dir(environ)) / "audit.log", required=False)


def of_this_machine(program: str) -> Origin:
    """Return the origin of what a person does with a program on this machine."""
    return Origin(_person(), program, socket.gethostname())


def _person() -> str:
    """Return whose account of this machine it is; with sudo, who has become root."""
    if os.geteuid() == 0 and (name := os.environ.get("SUDO_USER")):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # neither a variable nor an entry for the account, as in some containers
        return str(os.getuid())
