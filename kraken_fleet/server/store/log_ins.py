"""Log-ins that were looked up before: each request of the API names one, and a fleet's registration is thousands."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from kraken_fleet.server.store.tables import LoginSession, User

# Far more people and programs than are signed in to one server; whoever makes more of them gains no memory by it.
_MOST = 1_000


class LogIns:
    """Rows of log-ins by the hash of their tokens, each with its user; forgotten whenever one of these rows changes."""

    def __init__(self) -> None:
        self._rows: dict[str, LoginSession] = {}

    def get(self, token_hash: str) -> LoginSession | None:
        """Return the row as it was when it was looked up, when nothing of that kind has changed since."""
        return self._rows.get(token_hash)

    def keep(self, row: LoginSession) -> None:
        """Remember a living row whose user is loaded."""
        if len(self._rows) >= _MOST:
            self._rows.clear()
        self._rows[row.token_hash] = row

    def forget_changed(self, session: Session, _context: Any) -> None:
        """Forget all when a session has written a log-in or a user."""
        if any(isinstance(row, LoginSession | User) for row in (*session.dirty, *session.new, *session.deleted)):
            self._rows.clear()

    def forget(self) -> None:
        """Forget all: to be called after a statement that writes past the session."""
        self._rows.clear()
