"""`kraken-fleet firewall`: rules that allow only the agents of an inventory at a server's agent endpoint."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from kraken_fleet.address import ServerAddress
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.source import with_inventory
from kraken_fleet.errors import PartialFailureError
from kraken_fleet.inventory import Inventory, resolve_name
from kraken_fleet.network.firewall import LOG_PORT, SERVER_PORT, allow_list, nftables_rules, nginx_rules

app = single_command()


class Format(StrEnum):
    """Whose rules are printed."""

    NFTABLES = "nftables"
    NGINX = "nginx"


@app.command()
@with_inventory
def firewall(
    inventory: Inventory,
    form: Annotated[Format, typer.Option("--format", help="Whose rules to print.")],
    besides: Annotated[
        list[str] | None,
        typer.Option("--allow", help="Another address or network to allow, such as a NAT.", metavar="NETWORK"),
    ] = None,
    port: Annotated[int, typer.Option(help="nftables: the server's TCP port.", min=1, max=65535)] = SERVER_PORT,
    log_port: Annotated[int, typer.Option(help="nftables: the UDP port for logs.", min=1, max=65535)] = LOG_PORT,
    upstream: Annotated[
        str, typer.Option(help="nginx: where the proxy reaches the server.", metavar="URL")
    ] = f"http://127.0.0.1:{SERVER_PORT}",
) -> None:
    """Print rules that let only the agents of an inventory reach /backend and the log port. Changes nothing.

    Exit code 0: all agents are in them; 3: some are not, as their address is not known.
    """
    allowed = allow_list(inventory.fleet(_address_or_name), besides or ())
    if form is Format.NGINX:
        text = nginx_rules(allowed, ServerAddress.parse(upstream).root)
    else:
        text = nftables_rules(allowed, port, log_port)
    for line in text.splitlines():
        output.line(line)
    if allowed.unknown:
        raise PartialFailureError(
            f"The addresses of these agents are not known, so the rules leave them out: {', '.join(allowed.unknown)}",
            failures=dict.fromkeys(allowed.unknown, "its address is not known"),
            hint="Set kraken_agent_address of their hosts",
        )


def _address_or_name(name: str) -> str:
    """Find the address of a name; the name itself stays when there is none, and is then no address."""
    try:
        return resolve_name(name)
    except OSError:
        return name
