"""`kraken-fleet authorize`: let agents in that have announced themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.selection import find_agents
from kraken_fleet.errors import UsageError

app = single_command()


@app.command()
@connected
def authorize(
    client: KrakenClient,
    agents: Annotated[
        list[str] | None, typer.Argument(help="Names, addresses or ids.", metavar="AGENT...", show_default=False)
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every agent that waits.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Authorize agents. Whoever reaches the server can announce an agent: look at `discovered list` first."""
    if bool(agents) == everyone:
        raise UsageError("Name the agents to authorize, or give --all", hint="See `kraken-fleet discovered list`")
    waiting = client.agents(unauthorized=True)
    chosen = list(waiting) if everyone else find_agents(agents or [], (*waiting, *client.agents()))
    fresh = [agent for agent in chosen if not agent.authorized]
    if fresh:
        client.set_authorized([agent.id for agent in fresh])
    if as_json:
        already = [agent.name for agent in chosen if agent.authorized]
        output.answer({"authorized": [agent.name for agent in fresh], "already": already})
        return
    for agent in chosen:
        output.line(f"{agent.name} {'was authorized already' if agent.authorized else 'is authorized now'}")
    if not chosen:
        output.line("No agent waits to be authorized.")
