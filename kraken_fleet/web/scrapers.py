"""Clients of accounts that scrape metrics."""

from __future__ import annotations

import hmac
import threading

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.web.settings import ConsoleSettings

_MOST_ACCOUNTS = 4


class Scrapers:
    """Signed-in clients for accounts that scrape, so that not every scrape signs in; those of the last few accounts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, KrakenClient]] = {}

    def get(self, settings: ConsoleSettings, user: str, password: str) -> tuple[KrakenClient, bool]:
        """Return a client for an account, and whether it was accepted before with this password."""
        with self._lock:
            kept = self._kept.get(user)
            # The password is compared each time: the name alone must not reach a client that another scrape signed in.
            if kept and hmac.compare_digest(kept[0].encode(), password.encode()):
                return kept[1], True
        credentials = PasswordCredentials(user, password)
        return KrakenClient(settings.server_url, credentials, ca_bundle=settings.ca_bundle), False

    def keep(self, user: str, password: str, client: KrakenClient) -> bool:
        """Keep a client that the server has accepted; say whether the account only now begins to scrape.

        A scrape that comes before the one before it is answered signs in, too: its client is closed again.
        """
        with self._lock:
            before = self._kept.get(user)
            begins = before is None or not hmac.compare_digest(before[0].encode(), password.encode())
            left = [before[1]] if before and begins else []
            if begins:
                self._kept.pop(user, None)
                self._kept[user] = (password, client)
            else:
                left.append(client)
            # A dictionary keeps its order, so the first one was kept longest.
            surplus = len(self._kept) - _MOST_ACCOUNTS
            left += [self._kept.pop(next(iter(self._kept)))[1] for _ in range(surplus)]
        for one in left:
            one.close()
        return begins

    def drop(self, user: str, client: KrakenClient) -> None:
        """Forget a client that the server no longer accepts."""
        with self._lock:
            if user in self._kept and self._kept[user][1] is client:
                del self._kept[user]
        client.close()

    def clear(self) -> None:
        """End all sessions."""
        with self._lock:
            kept, self._kept = self._kept, {}
        for _, client in kept.values():
            client.close()
