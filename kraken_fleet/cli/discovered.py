"""`kraken-fleet discovered`: agents that wait to be authorized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.audit import usual_log
from kraken_fleet.cli import output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected, origin_of_command
from kraken_fleet.cli.selection import PATTERNS, find_agents, names_of
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import Agent, Change, HostNames, ago
from kraken_fleet.reconcile import Ignored
from kraken_fleet.state import state_dir

app = command_group()

Patterns = Annotated[list[str], typer.Argument(help=PATTERNS, metavar="AGENT", show_default=False)]


@app.command("list")
@connected
def list_discovered(
    client: KrakenClient,
    with_ignored: Annotated[bool, typer.Option("--ignored", help="Also those that are ignored.")] = False,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """List the agents that wait. Their address is what they claim; "connects from" is what the server saw."""
    names, ignored = names_of(inventory), Ignored(state_dir()).addresses()
    waiting = client.agents(unauthorized=True)
    agents = [agent for agent in waiting if with_ignored or agent.address not in ignored]
    if as_json:
        output.answer([agent.as_shown() for agent in agents])
        return
    hidden = len(waiting) - len(agents)
    now = client.server_time()
    output.table(
        ("ID", "NAME", "ADDRESS", "CONNECTS FROM", "LAST SEEN", *(["IGNORED"] if with_ignored else [])),
        [
            (
                agent.id,
                names.name(agent) or "-",
                agent.address,
                agent.ip_address or "-",
                ago(agent.last_seen, now),
                *(["yes" if agent.address in ignored else "no"] if with_ignored else []),
            )
            for agent in sorted(agents, key=lambda agent: agent.address)
        ],
        empty="No agent waits to be authorized." if not hidden else f"No agent waits but {hidden} that are ignored.",
    )


@app.command("ignore")
@connected
def ignore(
    client: KrakenClient, patterns: Patterns, inventory: Inventory | None = None, as_json: output.AsJson = False
) -> None:
    """Leave agents out of `discovered list`, `authorize --all` and the console's page. Changes nothing on the server.

    Kept in this account's state directory, which a console of this account reads too.
    """
    names = names_of(inventory)
    found = find_agents(patterns, client.agents(unauthorized=True), names)
    Ignored(state_dir()).add(agent.address for agent in found)
    _record(client, "ignore agents", found)
    _tell("ignored", found, names, "is ignored now", as_json=as_json)


@app.command("unignore")
@connected
def unignore(
    client: KrakenClient, patterns: Patterns, inventory: Inventory | None = None, as_json: output.AsJson = False
) -> None:
    """Ignore agents no longer."""
    names, ignored = names_of(inventory), Ignored(state_dir())
    waiting = [agent for agent in client.agents(unauthorized=True) if agent.address in ignored.addresses()]
    found = find_agents(patterns, waiting, names)
    ignored.discard(agent.address for agent in found)
    _record(client, "unignore agents", found)
    _tell("unignored", found, names, "is ignored no longer", as_json=as_json)


def _tell(done: str, agents: Sequence[Agent], names: HostNames, said: str, *, as_json: bool) -> None:
    """Print what was done to agents: one word for programs, what is so now for people."""
    if as_json:
        output.answer({done: [agent.address for agent in agents]})
        return
    for agent in agents:
        output.line(f"{names.label(agent)} {said}")


def _record(client: KrakenClient, action: str, agents: Sequence[Agent]) -> None:
    """Write into the audit log what the client cannot tell it: the server knows nothing of agents that are ignored."""
    change = Change(action, tuple(agent.address for agent in agents))
    usual_log().write(origin_of_command(), change, client.url, client.user)
