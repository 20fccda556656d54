"""`kraken-fleet agents`: the authorized agents of a server."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.selection import find_agents, find_group
from kraken_fleet.model import Agent, ago

app = command_group()


@app.command("list")
@connected
def list_agents(
    client: KrakenClient,
    group: Annotated[str | None, typer.Option("--group", help="Only members of this agents group.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """List the authorized agents, with their groups and what they are doing."""
    agents = client.agents()
    if group is not None:
        chosen = find_group(group, client.groups())
        agents = tuple(agent for agent in agents if chosen.id in {ref.id for ref in agent.groups})
    if as_json:
        output.answer(agents)
        return
    output.table(
        ("NAME", "ADDRESS", "STATE", "GROUPS", "SYSTEM", "LAST SEEN"),
        [
            (agent.name, agent.address, state(agent), groups(agent), system(agent), ago(agent.last_seen))
            for agent in sorted(agents, key=lambda agent: agent.name)
        ],
        empty="There are no authorized agents. `kraken-fleet discovered list` shows those that wait.",
    )


@app.command("show")
@connected
def show_agent(
    client: KrakenClient,
    agent: Annotated[str, typer.Argument(help="Its name, address or id.", metavar="AGENT")],
    as_json: output.AsJson = False,
) -> None:
    """Show all that the server knows about one agent."""
    known = (*client.agents(), *client.agents(unauthorized=True))
    found = find_agents([agent], known)[0]
    if as_json:
        output.answer(found)
        return
    executors = sorted(found.host_info.executors) if found.host_info else []
    output.details(
        [
            ("Name", found.name),
            ("Id", found.id),
            ("Address", found.address),
            ("Speaks from", found.ip_address or "-"),
            ("State", state(found)),
            ("Groups", groups(found)),
            ("System", system(found)),
            ("Executors", ", ".join(executors) or "-"),
            ("Last seen", ago(found.last_seen)),
        ]
    )


def state(agent: Agent) -> str:
    """Return what an agent is doing, in one word or two."""
    if not agent.authorized:
        return "not authorized"
    if agent.disabled:
        return "disabled"
    return f"runs job {agent.job.id}" if agent.job else "idle"


def groups(agent: Agent) -> str:
    """Return the names of an agent's groups."""
    return ", ".join(sorted(agent.group_names)) or "-"


def system(agent: Agent) -> str:
    """Return the system that an agent reports, once it has."""
    return agent.host_info.system if agent.host_info else "-"
