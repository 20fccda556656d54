"""Who is signed in: sessions in memory.

A session holds the person's own Kraken client, so every change is made with that person's rights. Nothing is written
to disk: when the console restarts, people sign in again.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kraken_fleet.api import KrakenClient


@dataclass(slots=True, eq=False)
class Session:
    """One person signed in. `csrf` goes into every form and comes back with every change."""

    user: str
    client: KrakenClient = field(repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    used: float = 0.0
    notice: str = ""

    def accepts(self, csrf: str) -> bool:
        # Takes the same time wherever the two differ, so that nobody can guess it letter by letter.
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())

    def take_notice(self) -> str:
        """Return the message of the last change, shown once."""
        notice, self.notice = self.notice, ""
        return notice


class SessionStore:
    """Sessions by the random word in the browser's cookie.

    Args:
        lifetime: seconds without a request after which a session is forgotten.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def add(self, session: Session) -> str:
        """Remember a session; return the word for the cookie."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            session.used = self._clock()
            self._sessions[key] = session
        return key

    def get(self, key: str) -> Session | None:
        """Return the session of a cookie and begin its time anew; None when there is none, or its time is over."""
        with self._lock:
            old = self._take_the_old()
            session = self._sessions.get(key)
            if session:
                session.used = self._clock()
        _end(old)
        return session

    def holds(self, session: Session) -> bool:
        """Say whether somebody is still signed in with it."""
        with self._lock:
            return session in self._sessions.values()

    def remove(self, key: str) -> None:
        """Forget a session and end it on the server."""
        with self._lock:
            session = self._sessions.pop(key, None)
        _end([session] if session else [])

    def clear(self) -> None:
        """Forget and end all sessions: the console stops."""
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        _end(sessions)

    def _take_the_old(self) -> list[Session]:
        oldest = self._clock() - self._lifetime
        return [self._sessions.pop(key) for key, session in list(self._sessions.items()) if session.used < oldest]


def _end(sessions: Iterable[Session]) -> None:
    # Never with the lock held: each tells the server, which may take its time.
    for session in sessions:
        session.client.close()
