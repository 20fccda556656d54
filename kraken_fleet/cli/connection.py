"""The options that say which Kraken server a command talks to and who it is there, the same for all commands."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from kraken_fleet.api import Credentials, KrakenClient, PasswordCredentials, credentials_from
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.errors import UsageError

_PANEL = "Kraken server"


def _option(*names: str, help_text: str, envvar: str | None = None, metavar: str) -> Any:
    return typer.Option(*names, help=help_text, envvar=envvar, metavar=metavar, rich_help_panel=_PANEL)


# A secret is never an option's value: command lines are visible to everybody on a machine.
_OPTIONS: dict[str, Any] = {
    "server": Annotated[
        str | None,
        _option("--server", help_text="Its URL, or host:port.", envvar="KRAKEN_FLEET_SERVER", metavar="URL"),
    ],
    "user": Annotated[
        str | None,
        _option("--user", help_text="The account to sign in with.", envvar="KRAKEN_FLEET_USER", metavar="NAME"),
    ],
    "password_file": Annotated[
        Path | None,
        _option("--password-file", help_text="A file with the password on its first line.", metavar="FILE"),
    ],
    "token_file": Annotated[
        Path | None,
        _option("--token-file", help_text="A file with a session token on its first line.", metavar="FILE"),
    ],
    "ca_bundle": Annotated[
        Path | None,
        _option(
            "--ca-bundle", help_text="Certificates to trust for https.", metavar="FILE", envvar="KRAKEN_FLEET_CA_BUNDLE"
        ),
    ],
}
_SECRETS = tuple(f"KRAKEN_FLEET_{kind}{suffix}" for kind in ("PASSWORD", "TOKEN") for suffix in ("", "_FILE"))


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the connection options; it gets a signed-in client as `client` instead."""
    return with_options(command, "client", itertools.starmap(option, _OPTIONS.items()), connect)


def connect(
    server: str | None = None,
    user: str | None = None,
    password_file: Path | None = None,
    token_file: Path | None = None,
    ca_bundle: Path | None = None,
) -> KrakenClient:
    """A client for the server that the options or the environment name.

    Raises:
        UsageError: no server, or no credentials and nobody to ask for them.
    """
    if not server:
        raise UsageError("no Kraken server is named", hint="Give --server URL, or set KRAKEN_FLEET_SERVER")
    return KrakenClient(server, _credentials(user, password_file, token_file), ca_bundle=ca_bundle)


def _credentials(user: str | None, password_file: Path | None, token_file: Path | None) -> Credentials:
    known = password_file or token_file or any(os.environ.get(name) for name in _SECRETS)
    if known or not sys.stdin.isatty():
        return credentials_from(user, password_file, token_file)
    name = user or typer.prompt("User", err=True)
    return PasswordCredentials(name, typer.prompt(f"Password of {name}", hide_input=True, err=True))
