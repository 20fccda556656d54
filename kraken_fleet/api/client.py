"""The client that everything else uses: all calls of a Kraken server in one object."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from kraken_fleet.address import ServerAddress
from kraken_fleet.api.changes import Recorder
from kraken_fleet.api.credentials import Credentials, PasswordCredentials
from kraken_fleet.api.groups import GroupsCalls
from kraken_fleet.api.passing_groups import PassingGroupsCalls
from kraken_fleet.api.session import Session
from kraken_fleet.api.settings import SettingsCalls
from kraken_fleet.api.users import UsersCalls
from kraken_fleet.api.workflows import WorkflowsCalls
from kraken_fleet.errors import NotSignedInError


class KrakenClient(GroupsCalls, PassingGroupsCalls, SettingsCalls, UsersCalls, WorkflowsCalls):
    """A Kraken server. Nothing is sent before the first call. Usable from several threads.

    Args:
        url: `host:port` or a URL, with or without `/`, `/api`, `/bk`, `/bk/api`; a prefix before those is kept.
        credentials: who we are; with a password the client signs in by itself, also again when its token has expired.
        ca_bundle: a file with the certificates to trust for https; None for the system's own.
        timeout: seconds to wait for each answer.

    Raises:
        UsageError: the URL or the CA bundle cannot be used.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        ca_bundle: str | Path | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._credentials = credentials
        super().__init__(Session(ServerAddress.parse(url), credentials, ca_bundle=ca_bundle, timeout=timeout))

    @property
    def url(self) -> str:
        """The server's URL without `/api` or `/bk`."""
        return self._session.address.root

    @property
    def user(self) -> str:
        """The account that signs in; empty when all that is known of it is a token."""
        return self._credentials.user if isinstance(self._credentials, PasswordCredentials) else ""

    def recorded(self, recorder: Recorder, agents: Mapping[int, str] | None = None) -> Self:
        """Return the same client, with the same session on the server; this recorder is told of its changes.

        Args:
            agents: addresses of agents by their ids, for the record of changes; those that it lists itself it knows.
        """
        twin = copy.copy(self)
        twin._session = self._session.recorded(recorder)
        twin._session.names.add_agents(agents or {})
        return twin

    def clock_ahead(self) -> timedelta:
        """Say how much the server's clock is ahead of this machine's, to about a second; ask when nothing is known yet.

        Raises:
            ServerError: see kraken_fleet.errors.
        """
        if self._session.clock_ahead is None:
            with suppress(NotSignedInError):  # a refusal has the time, too
                self.version()
        return self._session.clock_ahead or timedelta()

    def server_time(self) -> datetime:
        """Return the time by the server's clock, which is the one behind all times that it tells.

        Raises:
            ServerError: see kraken_fleet.errors.
        """
        return datetime.now(UTC) + self.clock_ahead()

    def close(self) -> None:
        """End the session that a password opened on the server, and close the connections. A later call signs in."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        who = self._credentials
        account = (
            "nobody" if who is None else f"user {who.user!r}" if isinstance(who, PasswordCredentials) else "a token"
        )
        return f"<KrakenClient {self.url} as {account}>"
