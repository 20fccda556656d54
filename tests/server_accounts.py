"""Accounts of an embedded server, with the rights that a test needs."""

from __future__ import annotations

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.api.session import Method, Session
from kraken_fleet.server.testing import RunningServer
from tests.unique_names import unique_name

PASSWORD = "the password of a test's account"


def administrator(server: RunningServer) -> PasswordCredentials:
    """The account of a console, for example."""
    return PasswordCredentials(server.user, server.password)


def new_account(server: RunningServer, name: str = "", *, superadmin: bool = False) -> str:
    """Make an account with PASSWORD; its name."""
    name = name or unique_name("person")
    _as_administrator(server, "POST", "/users", {"name": name, "password": PASSWORD})
    set_rights(server, name, superadmin=superadmin)
    return name


def set_rights(server: RunningServer, name: str, *, superadmin: bool = False, enabled: bool = True) -> None:
    """Change what an account may do."""
    with KrakenClient(server.url, administrator(server)) as client:
        user = client.find_user(name)
    assert user
    _as_administrator(server, "PATCH", f"/users/{user.id}", {"superadmin": superadmin, "enabled": enabled})


def _as_administrator(server: RunningServer, method: Method, path: str, body: dict[str, object]) -> None:
    session = Session(ServerAddress.parse(server.url), administrator(server))
    session.request(method, path, body=body)
    session.close()
