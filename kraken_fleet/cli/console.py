"""`kraken-fleet console`: the web console over any Kraken server."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet.api import find_server
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import levels_of
from kraken_fleet.cli.limits import Proxies, with_limits
from kraken_fleet.cli.source import with_inventory
from kraken_fleet.errors import PortInUseError
from kraken_fleet.inventory import Inventory
from kraken_fleet.listen import Limits

app = single_command()
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
@with_inventory
def console(
    limits: Limits,
    inventory: Inventory | None = None,
    server: Annotated[
        str | None, typer.Option("--server", help="The Kraken server to look at. [KRAKEN_FLEET_SERVER]")
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
    from kraken_fleet.state import state_dir as default_state_dir
    from kraken_fleet.web import ConsoleSettings, create_console

    url, bundle = find_server(levels_of(inventory, server=server, ca_bundle=ca_bundle))
    settings = ConsoleSettings(
        server_url=url,
        state_dir=state_dir or default_state_dir(),
        ca_bundle=bundle,
        inventory=inventory,
        read_only=read_only,
        secure_cookie=secure_cookie,
        limits=limits,
    )
    output.line(f"Console for {url}: http://{host}:{port}/  (Ctrl-C ends it)")
    _run(create_console(settings), host, port, settings.limits, proxy or [])


def _run(application: object, host: str, port: int, limits: Limits, proxies: list[str]) -> None:
    import socket

    from kraken_fleet.listen.acceptor import Server
    from kraken_fleet.listen.connections import Connections, server_config
    from kraken_fleet.listen.peers import proxy_options

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
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
        log_level="warning",
        timeout_graceful_shutdown=1,
        **proxy_options(proxies),
    )
    with suppress(KeyboardInterrupt):  # the way to end it, not a failure
        Server(config, connections).run(sockets=[listener])
