"""Who is signed in: sessions in memory, log-in attempts rationed.

A session holds the person's own Kraken client, so every change is made with that person's rights. Nothing is written
to disk: when the console restarts, people sign in again.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kraken_fleet.api import KrakenClient

# Five wrong passwords, then one more try each minute: enough for a forgetful person, too slow for a dictionary.
ATTEMPTS = 5
ATTEMPTS_WINDOW_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Session:
    """One person signed in. `csrf` goes into every form and comes back with every change."""

    user: str
    client: KrakenClient = field(repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    used: float = 0.0
    notice: str = ""

    def accepts(self, csrf: str) -> bool:
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())

    def take_notice(self) -> str:
        """The message of the last change, shown once."""
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
        """Remembers a session; returns the word for the cookie."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            session.used = self._clock()
            self._sessions[key] = session
        return key

    def get(self, key: str) -> Session | None:
        with self._lock:
            old = self._take_the_old()
            session = self._sessions.get(key)
            if session:
                session.used = self._clock()
        _end(old)
        return session

    def holds(self, session: Session) -> bool:
        """Whether somebody is still signed in with it."""
        with self._lock:
            return session in self._sessions.values()

    def remove(self, key: str) -> None:
        """Forgets a session and ends it on the server."""
        with self._lock:
            session = self._sessions.pop(key, None)
        _end([session] if session else [])

    def clear(self) -> None:
        """The same for all of them: the console stops."""
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


class AttemptLimit:
    """Counts failed log-ins by where they come from and by whom they name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def wait_seconds(self, *keys: str) -> float:
        """How long until another attempt is allowed; 0 when it is allowed now."""
        with self._lock:
            return max((self._wait(key) for key in keys), default=0.0)

    def failed(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._failures.setdefault(key, deque(maxlen=ATTEMPTS)).append(self._clock())

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _wait(self, key: str) -> float:
        failures = self._failures.get(key)
        if failures is None or len(failures) < ATTEMPTS:
            return 0.0
        remaining = failures[0] + ATTEMPTS_WINDOW_SECONDS - self._clock()
        if remaining <= 0:
            failures.popleft()
        return max(remaining, 0.0)
