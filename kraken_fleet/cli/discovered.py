"""`kraken-fleet discovered`: agents that have announced themselves and wait to be authorized."""

from __future__ import annotations

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected
from kraken_fleet.model import ago

app = command_group()


@app.command("list")
@connected
def list_discovered(client: KrakenClient, as_json: output.AsJson = False) -> None:
    """List the agents that wait. Their address is what they claim; "speaks from" is what the server saw."""
    agents = client.agents(unauthorized=True)
    if as_json:
        output.answer(agents)
        return
    output.table(
        ("ID", "NAME", "ADDRESS", "SPEAKS FROM", "LAST SEEN"),
        [
            (agent.id, agent.name, agent.address, agent.ip_address or "-", ago(agent.last_seen))
            for agent in sorted(agents, key=lambda agent: agent.name)
        ],
        empty="No agent waits to be authorized.",
    )
