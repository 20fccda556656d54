"""The server's users: who they are, and what they may do."""

from __future__ import annotations

from kraken_fleet.api import decode
from kraken_fleet.api.paging import read_all
from kraken_fleet.api.session import Session
from kraken_fleet.model import User


class UsersCalls:
    """The part of KrakenClient about users."""

    _session: Session

    def find_user(self, name: str) -> User | None:
        """Return the user with exactly this name, and with its role; None when there is none, or more than one.

        Raises:
            NotPermittedError: the account is no superadmin.
            ServerError: see kraken_fleet.errors.
        """
        found = [user for user in read_all(self._session, "/users", decode.user) if user.name == name]
        if len(found) != 1:
            return None
        # The list of a Kraken server calls nobody but `admin` a superadmin, whatever the role (models.py, 1.7.36).
        return self._session.request("GET", f"/users/{found[0].id}").decoded(decode.user)
