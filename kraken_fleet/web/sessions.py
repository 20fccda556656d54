"""Who is signed in: sessions in memory.

A session of a person who signed in holds that person's own Kraken client, so every change is made with that person's
rights. Nothing is written to disk: when the console restarts, people sign in again.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kraken_fleet.api import KrakenClient


class PersonsClient(KrakenClient):
    """The client of somebody who signs in. Once it is closed it does not sign in again with the password it has kept.

    A request of another tab may still be on its way then.
    """

    def close(self) -> None:
        self._session.close(for_good=True)


@dataclass(slots=True, eq=False)
class Session:
    """One person signed in. `csrf` goes into every form and comes back with every change.

    Args:
        client: what pages are read with, and changes made with.
        own: the person's own client; the same as `client` when the person is an administrator, None when it is a proxy
            that says who the person is.
        may_change: whether there are forms for this person.
    """

    user: str
    client: KrakenClient = field(repr=False)
    own: KrakenClient | None = field(default=None, repr=False)
    may_change: bool = True
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    used: float = 0.0
    notice: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _works: int = 0
    _over: bool = False

    @property
    def borrows(self) -> bool:
        """Whether `client` has the console's own account, so that the server cannot tell this person from others."""
        return self.own is not self.client

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep the session on the server until this is left: a person may sign out while work goes on."""
        with self._lock:
            self._works += 1
        try:
            yield
        finally:
            with self._lock:
                self._works -= 1
                last = self._over and not self._works
            if last:
                self.close()

    def close(self, *, at_once: bool = False) -> None:
        """End the session on the server. The console's own account goes on.

        Args:
            at_once: do not wait for the end of work that needs it.
        """
        with self._lock:
            self._over = True
            waits = self._works and not at_once
        if self.own and not waits:
            self.own.close()

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
        # Apart from the others: a cookie is the browser's to choose, a name is not.
        self._named: dict[str, Session] = {}

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

    def named(self, session: Session) -> Session:
        """Return the session of a person whom a proxy names, the one given when there is none; begin its time anew.

        A person has one of them in all browsers.
        """
        with self._lock:
            old = self._take_the_old()
            found = self._named.setdefault(session.user, session)
            found.used = self._clock()
        _end(old)
        return found

    def knows(self, user: str) -> bool:
        """Say whether somebody has a session that a proxy began by naming that person."""
        with self._lock:
            return user in self._named

    def holds(self, session: Session) -> bool:
        """Say whether somebody is still signed in with it. Unlike a request, this does not begin its time anew."""
        with self._lock:
            old = self._take_the_old()
            held = session in (*self._sessions.values(), *self._named.values())
        _end(old)
        return held

    def remove(self, key: str) -> None:
        """Forget a session and end it on the server."""
        with self._lock:
            session = self._sessions.pop(key, None)
        _end([session] if session else [])

    def end(self, session: Session) -> None:
        """Do the same without the word of its cookie."""
        with self._lock:
            for kept in (self._sessions, self._named):
                for key in [key for key, one in kept.items() if one is session]:
                    del kept[key]
        _end([session])

    def clear(self) -> None:
        """Forget and end all sessions: the console stops."""
        with self._lock:
            sessions = [*self._sessions.values(), *self._named.values()]
            self._sessions.clear()
            self._named.clear()
        # Work that goes on ends with the console, and then nobody is left to end its session on the server.
        _end(sessions, at_once=True)

    def _take_the_old(self) -> list[Session]:
        oldest = self._clock() - self._lifetime
        return [
            kept.pop(key)
            for kept in (self._sessions, self._named)
            for key, session in list(kept.items())
            if session.used < oldest
        ]


def _end(sessions: Iterable[Session], *, at_once: bool = False) -> None:
    # Never with the lock held: each tells the server, which may take its time.
    for session in sessions:
        session.close(at_once=at_once)
