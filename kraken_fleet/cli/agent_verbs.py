"""`kraken-fleet agents enable`, `disable`, `drain`, `delete` and `groups`: what operators do to agents every day."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import changes, output
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.cli.selection import PATTERNS, find_agents, find_group, names_of
from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.model import LONGEST_NOTE, Agent, Disabling, parse_moment
from kraken_fleet.reconcile import are_over, change_groups, disable, disabling, drain, enable, remove

app = typer.Typer(add_completion=False)

Patterns = Annotated[list[str] | None, typer.Argument(help=PATTERNS, metavar="AGENT", show_default=False)]
Note = Annotated[str, typer.Option("--note", help="Why; shown to everybody who looks.", metavar="TEXT")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="When the next deploy, `apply` or `reconcile` enables them: 30min, 2h, 1d, 18:30 or 2026-11-29T08:00.",
        metavar="TIME",
    ),
]
Wait = Annotated[float, typer.Option("--wait", help="Seconds to wait until their jobs have ended.", min=0)]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why agents are disabled and until when, as it was given."""

    note: str
    until: str | None

    def of(self, client: KrakenClient) -> Disabling:
        """Return the reason as it is kept with the agents.

        Raises:
            UsageError: the note is too long, or the time is none.
        """
        if len(self.note) > LONGEST_NOTE:
            raise UsageError(f"The note has more than {LONGEST_NOTE} characters", where="--note")
        end = parse_moment(self.until, client.server_time()) if self.until else None
        return disabling(client, client.user or getpass.getuser(), self.note, end)


def _with_reason(command: Callable[..., None]) -> Callable[..., None]:
    options = [option("note", Note, ""), option("until", Until)]
    return with_options(command, "reason", options, lambda **given: nullcontext(Reason(**given)))


@app.command("disable")
@connected
@_with_reason
def disable_agents(
    client: KrakenClient,
    reason: Reason,
    patterns: Patterns = None,
    wait: Wait = 0.0,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Give agents no more jobs. Those that they run go on; --wait waits for them.

    Exit codes: 0 done; 1 no such agent, or the server refused; 3 some done, some not.
    """
    chosen = _chosen(client, patterns, inventory, client.agents())
    why = reason.of(client)
    events = drain(client, chosen, wait, why=why) if wait else disable(client, chosen, why=why)
    changes.follow(events, as_json=as_json)


@app.command("drain")
@connected
@_with_reason
def drain_agents(
    client: KrakenClient,
    reason: Reason,
    patterns: Patterns = None,
    wait: Wait = 3600.0,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Give agents no more jobs, and wait until those that they run have ended.

    Exit codes: 0 done; 1 no such agent, or the server refused; 3 some done, some not, or some still run a job.
    """
    chosen = _chosen(client, patterns, inventory, client.agents())
    changes.follow(drain(client, chosen, wait, why=reason.of(client)), as_json=as_json)


@app.command("enable")
@connected
def enable_agents(
    client: KrakenClient,
    patterns: Patterns = None,
    due: Annotated[
        bool, typer.Option("--due", help="Those that were disabled until a time which is over, on the whole server.")
    ] = False,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Let agents have jobs again.

    Exit codes: 0 done; 1 no such agent, or the server refused; 3 some done, some not.
    """
    known = client.agents()
    if due:
        known = tuple(are_over(known, client.server_time()))
        # `--due` alone names its agents itself; for any other verb no name at all is a mistake.
        if not patterns and not (inventory and inventory.limit):
            names = names_of(inventory)
            changes.follow(enable(client, [names.named(agent) for agent in known]), as_json=as_json)
            return
    changes.follow(enable(client, _chosen(client, patterns, inventory, known)), as_json=as_json)


@app.command("delete")
@connected
def delete_agents(
    client: KrakenClient,
    patterns: Patterns = None,
    wait: Wait = 0.0,
    yes: changes.Yes = False,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Delete agents from the server. This cannot be undone: an agent that still runs waits to be authorized again.

    Agents that run a job are not deleted; with --wait they are drained first.

    Exit codes: 0 done; 1 no such agent, or one of them runs a job, and nothing was done; 3 some done, some not.
    """
    known = (*client.agents(), *client.agents(unauthorized=True))
    # Those that wait, too: records of agents that never came back pile up there.
    chosen = _chosen(client, patterns, inventory, known)
    busy = [agent for agent in chosen if agent.job]
    if busy and not wait:
        hint = "Wait for the end of their jobs with --wait SECONDS"
        raise FleetError(f"These run a job: {_listed(busy)}", hint=hint)
    changes.confirm(f"Delete {_listed(chosen)} from {client.url}?", yes=yes)
    if busy:
        # It raises when one still runs a job after that time, and nothing is deleted.
        list(drain(client, busy, wait))
    changes.follow(remove(client, chosen), as_json=as_json)


@app.command("groups")
@connected
def groups_of_agents(
    client: KrakenClient,
    patterns: Patterns = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", help="Put them into this agents group.", metavar="GROUP")
    ] = None,
    remove_from: Annotated[
        list[str] | None, typer.Option("--remove", help="Take them out of this agents group.", metavar="GROUP")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Leave them in this group and no other but `all`.", metavar="GROUP"),
    ] = None,
    inventory: Inventory | None = None,
    as_json: output.AsJson = False,
) -> None:
    """Put agents into agents groups, or take them out. A deploy may change what its inventory says otherwise.

    Exit codes: 0 done; 1 no such agent or group, or the server refused; 3 some done, some not.
    """
    if not (add or remove_from or only):
        raise UsageError("Nothing to change", hint="Give --add GROUP, --remove GROUP or --only GROUP")
    if only and (add or remove_from):
        raise UsageError("--only says all groups, so --add and --remove do not go with it", hint="Give --only twice")
    living = client.groups()
    groups = {name: find_group(name, living) for name in {*(add or ()), *(remove_from or ()), *(only or ())}}
    events = change_groups(
        client,
        _chosen(client, patterns, inventory, client.agents()),
        add=[groups[name] for name in add or ()],
        remove=[groups[name] for name in remove_from or ()],
        only=[groups[name] for name in only] if only else None,
    )
    changes.follow(events, as_json=as_json)


def _chosen(
    client: KrakenClient, patterns: list[str] | None, inventory: Inventory | None, known: Iterable[Agent]
) -> list[Agent]:
    """Return the agents that a command line names, called as people call them."""
    names, agents = names_of(inventory), list(known)
    limited = inventory is not None and inventory.limit is not None
    if not patterns and not limited:
        raise UsageError("No agent is named", hint="Name agents; all of them are `all`")
    if limited:
        agents = [agent for agent in agents if names.has(agent)]
        if not agents:
            raise FleetError("None of the hosts of --limit is an agent of the server", where=client.url)
    found = find_agents(patterns, agents, names) if patterns else agents
    return [names.named(agent) for agent in found]


def _listed(agents: list[Agent]) -> str:
    names = [agent.name for agent in agents]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
