"""The options of the account that a console itself has on a server, or on each of several servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from kraken_fleet.api import Credentials, find_credentials, of_files
from kraken_fleet.cli.connection import levels_of
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory

_PANEL = "The console's own account"


def _option(name: str, help_text: str, metavar: str) -> Any:
    several = f"NAME={metavar} for each of several servers."
    return typer.Option(name, help=f"{help_text} {several}", metavar=f"[NAME=]{metavar}", rich_help_panel=_PANEL)


Users = Annotated[list[str] | None, _option("--user", "An administrator's account of the server.", "USER")]
PasswordFiles = Annotated[
    list[str] | None, _option("--password-file", "A file with its password on the first line.", "FILE")
]
TokenFiles = Annotated[
    list[str] | None, _option("--token-file", "A file with a session token on the first line.", "FILE")
]


@dataclass(frozen=True, slots=True)
class GivenAccounts:
    """What the command line says of accounts."""

    users: Sequence[str]
    password_files: Sequence[str]
    token_files: Sequence[str]

    def by_server(
        self, names: Sequence[str], inventory: Inventory | None, *, needed: bool
    ) -> Mapping[str, Credentials]:
        """Return the account on each server by the server's name; "" is the name of an only one.

        Args:
            names: of the servers, when there are several.
            inventory: may name the account of an only server, as may the environment and a file.
            needed: whether the console uses an account of its own.

        Raises:
            UsageError: an account is missing or of no use, or a file cannot be read.
        """
        if not needed:
            if self.users or self.password_files or self.token_files:
                hint = "Give --viewers or --proxy-user-header with it, or leave it out"
                raise UsageError("The console uses no account of its own: people sign in with theirs", hint=hint)
            return {}
        if not names:
            return {"": find_credentials(levels_of(inventory, **self._files(names, "")))}
        # The account of one server goes to no other, so what names no server, such as the environment, is not used.
        return {name: find_credentials([of_files(f"--server {name}", **self._files(names, name))]) for name in names}

    def _files(self, names: Sequence[str], name: str) -> dict[str, str | None]:
        return {
            "user": _of(self.users, "--user", names, name),
            "password_file": _of(self.password_files, "--password-file", names, name),
            "token_file": _of(self.token_files, "--token-file", names, name),
        }


def _of(texts: Sequence[str], option: str, names: Sequence[str], name: str) -> str | None:
    """Return what is said of one server.

    Raises:
        UsageError: nothing says of which server it is, or there are two for one.
    """
    found = []
    for text in texts:
        server, equals, value = text.partition("=") if names else ("", "=", text)
        if not equals or (names and server not in names):
            hint = f"Give {option} {names[0]}=..., with the name of a server"
            raise UsageError(f"{text!r} does not say for which server it is", where=option, hint=hint)
        if server == name:
            found.append(value)
    if len(found) > 1:
        raise UsageError("It is given twice for one server", where=option, hint="Give it once")
    return next(iter(found), None)
