"""`kraken-fleet authorize`: authorize agents that wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.selection import PATTERNS, find_agents, names_of
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import Agent, HostNames
from kraken_fleet.reconcile import Ignored
from kraken_fleet.state import state_dir

app = single_command()


@app.command()
@connected
def authorize(
    client: KrakenClient,
    agents: Annotated[list[str] | None, typer.Argument(help=PATTERNS, metavar="AGENT", show_default=False)] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every agent that waits and is not ignored.")] = False,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Authorize agents. Whoever reaches the server can claim to be an agent: look at `discovered list` first."""
    if bool(agents) == everyone:
        raise UsageError("Name the agents to authorize, or give --all", hint="See `kraken-fleet discovered list`")
    discovered = client.agents(unauthorized=True)
    names, ignored = names_of(inventory), Ignored(state_dir()).addresses()
    chosen = (
        [agent for agent in discovered if agent.address not in ignored]
        if everyone
        else _named(client, agents or [], discovered, names)
    )
    fresh = [agent for agent in chosen if not agent.authorized]
    if fresh:
        client.set_authorized([agent.id for agent in fresh])
    if as_json:
        already = [agent.name for agent in chosen if agent.authorized]
        output.answer({"authorized": [agent.name for agent in fresh], "already": already})
        return
    for agent in chosen:
        output.line(f"{names.label(agent)} {'was authorized already' if agent.authorized else 'is authorized now'}")
    if not chosen:
        output.line("No agent waits to be authorized.")


def _named(
    client: KrakenClient, patterns: Sequence[str], discovered: Sequence[Agent], names: HostNames
) -> Sequence[Agent]:
    return find_agents(patterns, (*discovered, *client.agents()), names, one_each=True)
