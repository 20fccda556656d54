"""`kraken-fleet console`: the web console over any Kraken server."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet.address import ServerAddress
from kraken_fleet.api import find_server
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import levels_of
from kraken_fleet.cli.console_account import GivenAccess, with_access
from kraken_fleet.cli.limits import Proxies, with_limits
from kraken_fleet.cli.source import with_inventory
from kraken_fleet.errors import PortInUseError, UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.listen import Limits

app = single_command()
_NAME = re.compile(r"([A-Za-z0-9_-]+)=(.+)")
# The console keeps no agents and no logs: these are the limits that it has.
_LIMITS = (
    "connections",
    "connections_per_peer",
    "head_seconds",
    "request_seconds",
    "answer_seconds",
    "head_bytes",
    "url_bytes",
    "body_bytes",
    "unknown_client_body_bytes",
    "unknown_client_bodies_bytes",
    "wrong_passwords_per_account",
    "wrong_passwords_per_peer",
)


@app.command()
@with_limits(*_LIMITS)
@with_access(several=True)
@with_inventory
def console(
    limits: Limits,
    access: GivenAccess,
    inventory: Inventory | None = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            help="The Kraken server to look at; NAME=URL, several times, for several. [KRAKEN_FLEET_SERVER]",
            metavar="URL",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 8080,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything, change nothing.")] = False,
    secure_cookie: Annotated[
        bool, typer.Option("--secure-cookie", help="The console is reached over https, through a proxy.")
    ] = False,
    proxy: Proxies = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where it keeps its history and audit log.")] = None,
    ca_bundle: Annotated[
        Path | None, typer.Option(help="Certificates to trust for the server. [KRAKEN_FLEET_CA_BUNDLE]")
    ] = None,
) -> None:
    """Serve the console until interrupted. People sign in with their own Kraken accounts."""
    # Imported here: the web framework takes long to import, and `--help` needs none of it.
    from kraken_fleet.state import state_dir as default_state_dir
    from kraken_fleet.web import ConsoleSettings, create_console, create_consoles

    named = _named(server or [])
    one = None if named else next(iter(server or []), None)
    first = next(iter(named.values()), one)
    url, bundle = find_server(levels_of(None if named else inventory, server=first, ca_bundle=ca_bundle))
    accounts = access.accounts.by_server(list(named), None if named else inventory, needed=access.needs_account)
    settings = ConsoleSettings(
        server_url=url,
        state_dir=state_dir or default_state_dir(),
        ca_bundle=bundle,
        inventory=inventory,
        read_only=read_only,
        secure_cookie=secure_cookie,
        limits=limits,
        account=accounts.get(""),
        viewers=access.viewers,
        sign_on=access.sign_on(proxy or ()),
    )
    output.line(f"Console for {', '.join(named) or url}: http://{host}:{port}/  (Ctrl-C ends it)")
    several = {
        name: dataclasses.replace(
            settings,
            name=name,
            server_url=address,
            account=accounts.get(name),
            state_dir=settings.state_dir / "servers" / name,
            audit_dir=settings.state_dir,
            # Compared with another server than its own, an inventory would miss all of its agents.
            inventory=inventory if inventory and _is_of(inventory, address) else None,
        )
        for name, address in named.items()
    }
    _run(create_consoles(several) if several else create_console(settings), host, port, limits, proxy or [])


def _named(servers: Sequence[str]) -> dict[str, str]:
    """Return servers that were given as NAME=URL; none when there is one, without a name.

    Raises:
        UsageError: several were given and one has no name, or two have the same, or a name cannot be part of a path.
    """
    pairs = [_NAME.fullmatch(text) for text in servers]
    if len(servers) == 1 and not pairs[0]:
        return {}
    found = {pair[1]: pair[2] for pair in pairs if pair}
    if len(found) < len(servers):
        text = "Each of several servers needs a name of its own, of letters, digits, - and _"
        raise UsageError(text, where="--server", hint="Give --server berlin=http://kraken.example:6363 and so on")
    if "static" in found:
        raise UsageError("'static' is a path of the console itself", where="--server", hint="Choose another name")
    for address in found.values():
        ServerAddress.parse(address)
    return found


def _is_of(inventory: Inventory, address: str) -> bool:
    url = inventory.server().url
    return bool(url) and ServerAddress.parse(url) == ServerAddress.parse(address)


def _run(application: object, host: str, port: int, limits: Limits, proxies: list[str]) -> None:
    import socket

    from kraken_fleet.listen.acceptor import Server
    from kraken_fleet.listen.connections import Connections, server_config

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Else a console that is started again cannot listen while connections of the last one are in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        hint = "Choose another with --port"
        raise PortInUseError(f"Cannot listen: {error.strerror}", where=f"{host}:{port}", hint=hint) from error
    # An open stream of live updates would keep the console from ending; browsers connect again by themselves.
    connections = Connections(limits)
    config = server_config(
        application,
        connections,
        proxies,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    with suppress(KeyboardInterrupt):  # the way to end it, not a failure
        Server(config, connections).run(sockets=[listener])
