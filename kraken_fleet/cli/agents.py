"""`kraken-fleet agents`: the authorized agents of a server."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import agent_verbs, output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.selection import PATTERNS, find_agents, find_group, names_of
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import Activity, Agent, HostNames, activity_of, ago

app = command_group()
app.add_typer(agent_verbs.app)


@app.command("list")
@connected
def list_agents(
    client: KrakenClient,
    patterns: Annotated[list[str] | None, typer.Argument(help=PATTERNS, metavar="AGENT", show_default=False)] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only members of this agents group.")] = None,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """List the authorized agents, with their groups and what they are doing."""
    agents, names = client.agents(), names_of(inventory)
    if group is not None:
        chosen = find_group(group, client.groups())
        agents = tuple(agent for agent in agents if chosen.id in {ref.id for ref in agent.groups})
    if inventory and inventory.limit:
        agents = tuple(agent for agent in agents if names.has(agent))
    if patterns:
        agents = tuple(find_agents(patterns, agents, names))
    if as_json:
        output.answer([_document(agent, names) for agent in agents])
        return
    now, said = client.server_time(), any(agent.disabling for agent in agents)
    output.table(
        ("NAME", "ADDRESS", "STATE", "GROUPS", "SYSTEM", "LAST SEEN", *(["DISABLED"] if said else [])),
        [
            (
                names.name(agent) or "-",
                agent.address,
                state(agent, activity_of(agent, now)),
                groups(agent),
                system(agent),
                ago(agent.last_seen, now),
                *([agent.disabling.said if agent.disabling else ""] if said else []),
            )
            for agent in sorted(agents, key=lambda agent: (names.name(agent) or agent.address, agent.address))
        ],
        empty="There are no authorized agents. `kraken-fleet discovered list` shows those that wait.",
    )


@app.command("show")
@connected
def show_agent(
    client: KrakenClient,
    agent: Annotated[str, typer.Argument(help="Its host name, name, address or id.", metavar="AGENT")],
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Show all that the server knows about one agent."""
    names = names_of(inventory)
    known = (*client.agents(), *client.agents(unauthorized=True))
    # A pattern with wildcards may stand for several, and one is shown.
    (found,) = find_agents([agent], known, names, one_each=True)[:1]
    if as_json:
        output.answer(_document(found, names))
        return
    now = client.server_time()
    executors = sorted(found.host_info.executors) if found.host_info else []
    output.details(
        [
            ("Name", names.name(found) or "-"),
            ("Id", found.id),
            ("Address", found.address),
            ("Connects from", found.ip_address or "-"),
            ("State", state(found, activity_of(found, now))),
            *([("Disabled", found.disabling.said)] if found.disabling else []),
            ("Groups", groups(found)),
            ("System", system(found)),
            ("Executors", ", ".join(executors) or "-"),
            ("Last seen", ago(found.last_seen, now)),
        ]
    )


def state(agent: Agent, activity: Activity) -> str:
    """Return what an agent is doing, in one word or two."""
    if activity == Activity.DISCOVERED:
        return "not authorized"
    if activity == Activity.BUSY and agent.job:
        return f"runs job {agent.job.id}"
    return str(activity)


def groups(agent: Agent) -> str:
    """Return the names of an agent's groups."""
    return ", ".join(sorted(agent.group_names)) or "-"


def system(agent: Agent) -> str:
    """Return the system that an agent reports, once it has."""
    return agent.host_info.system if agent.host_info else "-"


def _document(agent: Agent, names: HostNames) -> dict[str, object]:
    """Return an agent for programs: as the server has it, and what the inventory calls it.

    Groups that are there for a proof or an upgrade are left out, as for people.
    """
    plain = output.plain(agent.as_shown())
    assert isinstance(plain, dict)  # noqa: S101 - a dataclass becomes an object
    return {**plain, "host": names.host(agent), "disabling": output.plain(agent.disabling)}
