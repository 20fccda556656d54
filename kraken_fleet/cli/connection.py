"""The options that say which Kraken server a command talks to and who it is there, the same for all commands.

These places can say so, and the first one wins: the command line, the inventory that -i or the file names, environment
variables, `kraken-fleet.toml` in the current directory, the same file in the user's configuration directory.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import (
    Credentials,
    KrakenClient,
    PasswordCredentials,
    find_credentials,
    find_server,
    of_environment,
    of_files,
)
from kraken_fleet.audit import Origin, audited, of_this_machine
from kraken_fleet.cli import config_file
from kraken_fleet.cli.application import running_command
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.cli.source import given_inventory, inventory_options, is_required
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import ServerAccount

_PANEL = "Kraken server"


def _option(*names: str, help_text: str, metavar: str) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=_PANEL)


# A secret is never an option's value: command lines are visible to everybody on a machine.
_OPTIONS: dict[str, Any] = {
    "server": Annotated[
        str | None, _option("--server", help_text="Its URL, or host:port. [KRAKEN_FLEET_SERVER]", metavar="URL")
    ],
    "user": Annotated[
        str | None, _option("--user", help_text="The account to sign in with. [KRAKEN_FLEET_USER]", metavar="NAME")
    ],
    "password_file": Annotated[
        Path | None,
        _option(
            "--password-file",
            help_text="A file with the password on its first line. [KRAKEN_FLEET_PASSWORD_FILE]",
            metavar="FILE",
        ),
    ],
    "token_file": Annotated[
        Path | None,
        _option(
            "--token-file",
            help_text="A file with a session token on its first line. [KRAKEN_FLEET_TOKEN_FILE]",
            metavar="FILE",
        ),
    ],
    "ca_bundle": Annotated[
        Path | None,
        _option("--ca-bundle", help_text="Certificates to trust for https. [KRAKEN_FLEET_CA_BUNDLE]", metavar="FILE"),
    ],
}


class Connection(NamedTuple):
    """A signed-in client, and the inventory that was given."""

    client: KrakenClient
    inventory: Inventory | None


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of server and inventory; it gets a signed-in client as `client` instead.

    A command with a parameter `inventory` gets the inventory too: an Inventory, or None when it was left out. For all
    others the inventory only names server and account.
    """
    signature = inspect.signature(command, eval_str=True)
    wanted = signature.parameters.get("inventory")

    @functools.wraps(command)
    def unpacked(connection: Connection, **given: Any) -> None:
        more = {"inventory": connection.inventory} if wanted else {}
        command(client=connection.client, **more, **given)

    own = [one for name, one in signature.parameters.items() if name not in ("client", "inventory")]
    first = option("connection", Connection, inspect.Parameter.empty)
    # Typer reads the signature to make options; without it, it would see `connection` and `given` alone.
    unpacked.__signature__ = signature.replace(parameters=[*own, first])  # type: ignore[attr-defined]  # read by inspect
    servers = [option(name, annotation) for name, annotation in _OPTIONS.items()]
    make = functools.partial(_connection, required=is_required(wanted))
    return with_options(unpacked, "connection", [*inventory_options(wanted), *servers], make)


@contextmanager
def _connection(**given: Any) -> Iterator[Connection]:
    options = {name: given.pop(name) for name in _OPTIONS}
    with given_inventory(**given) as inventory, connect(inventory, **options) as client:
        yield Connection(client, inventory)


def connect(inventory: Inventory | None = None, **options: Any) -> KrakenClient:
    """Make a client for the server that the options, the inventory, the environment or a file name.

    Args:
        options: server, user, password_file, token_file, ca_bundle.

    Raises:
        UsageError: no server, or no account and nobody to ask for it.
        InventoryError: the inventory cannot be read.
    """
    levels = levels_of(inventory, **options)
    server, ca_bundle = find_server(levels)
    credentials = find_credentials(levels, _asked if sys.stdin.isatty() else None)
    return audited(KrakenClient(server, credentials, ca_bundle=ca_bundle), origin_of_command())


def origin_of_command() -> Origin:
    """Return what the audit log says of the command that runs: who, with which command, on which machine."""
    return of_this_machine(running_command())


def levels_of(inventory: Inventory | None, **options: Any) -> list[ServerAccount]:
    """Read all places that can name server and account, the first of which wins.

    Raises:
        UsageError: the command line names two servers, or a file is wrong.
        InventoryError: the inventory cannot be read.
    """
    levels = [of_files("the command line", **options)]
    if inventory:
        found = inventory.server()
        _refuse_two_servers(levels[0].url, inventory.arguments, found)
        levels.append(found)
    levels.append(of_environment())
    return [
        *levels,
        *(of_files(str(path), **config_file.server_and_account(path)) for path in config_file.config_files()),
    ]


def _refuse_two_servers(option: str, arguments: Sequence[str], inventory: ServerAccount) -> None:
    """Refuse two servers: options and -e are both the command line, so neither is above the other."""
    given = inventory.url and any("kraken_server_url" in text for text in arguments)
    if option and given and ServerAddress.parse(option) != ServerAddress.parse(inventory.url):
        raise UsageError(
            f"The command line names two servers: {option} and {inventory.url}",
            hint="Give --server or -e kraken_server_url=URL, not both",
        )


def _asked(user: str) -> Credentials:
    name = user or typer.prompt("User", err=True)
    return PasswordCredentials(name, typer.prompt(f"Password of {name}", hide_input=True, err=True))
