"""Accounts of an embedded server, with the rights that a test needs. The embedded server's API changes no rights."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import requests

from kraken_fleet.api import PasswordCredentials
from kraken_fleet.server.testing import RunningServer
from tests.unique_names import unique_name

PASSWORD = "the password of a test's account"


def administrator(server: RunningServer) -> PasswordCredentials:
    """The account of a console, for example."""
    return PasswordCredentials(server.user, server.password)


def new_account(server: RunningServer, name: str = "", *, superadmin: bool = False) -> str:
    """Make an account with PASSWORD; its name."""
    name = name or unique_name("person")
    api = f"{server.url}/api"
    token = requests.post(
        f"{api}/sessions", json={"user": server.user, "password": server.password}, timeout=20
    ).json()["token"]
    body = {"name": name, "password": PASSWORD}
    requests.post(
        f"{api}/users", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=20
    ).raise_for_status()
    requests.delete(f"{api}/sessions/{token}", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    set_rights(server, name, superadmin=superadmin)
    return name


def set_rights(server: RunningServer, name: str, *, superadmin: bool = False, enabled: bool = True) -> None:
    """Change what an account may do, as an administrator of a Kraken server does it."""
    with closing(sqlite3.connect(server.settings.data_dir / "server.sqlite", timeout=20)) as database:
        changed = database.execute(
            "UPDATE users SET superadmin = ?, enabled = ? WHERE name = ?", (superadmin, enabled, name)
        )
        assert changed.rowcount == 1
        database.commit()
