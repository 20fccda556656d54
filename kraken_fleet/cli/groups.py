"""`kraken-fleet groups`: the agents groups of a server."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import changes, output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.selection import find_group
from kraken_fleet.model import Deployment, is_own_group

app = command_group()


@app.command("list")
@connected
def list_groups(client: KrakenClient, as_json: output.AsJson = False) -> None:
    """List the agents groups and how many authorized agents each has."""
    groups = [group for group in client.groups() if not is_own_group(group.name)]
    if as_json:
        output.answer(groups)
        return
    output.table(
        ("ID", "NAME", "AGENTS", "PROJECT", "MADE BY KRAKEN"),
        [
            (group.id, group.name, group.agents_count, group.project_name or "-", _method(group.deployment))
            for group in groups
        ],
        empty="There are no agents groups.",
    )


@app.command("create")
@connected
def create_group(
    client: KrakenClient,
    name: Annotated[str, typer.Argument(help="What jobs will call it.")],
    project_id: Annotated[int | None, typer.Option("--project-id", help="The project that it belongs to.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Create an agents group; one that is there already is left as it is."""
    existing = next((group for group in client.groups() if group.name == name), None)
    group = existing or client.create_group(name, project_id)
    if as_json:
        output.answer({"created": existing is None, "group": group})
    else:
        output.line(f"{group.name} (id {group.id}) {'was there already' if existing else 'is created'}")


@app.command("rename")
@connected
def rename_group(
    client: KrakenClient,
    name: Annotated[str, typer.Argument(help="Its name or id.", metavar="GROUP")],
    new_name: Annotated[str, typer.Argument(help="What it is called from now on.", metavar="NEW_NAME")],
    as_json: output.AsJson = False,
) -> None:
    """Give an agents group another name. Stages that name it have to be changed too."""
    group = find_group(name, client.groups())
    renamed = client.rename_group(group.id, new_name)
    if as_json:
        output.answer({"renamed": group.name != renamed.name, "group": renamed})
    else:
        output.line(f"{group.name} (id {group.id}) is called {renamed.name} now")


@app.command("delete")
@connected
def delete_group(
    client: KrakenClient,
    name: Annotated[str, typer.Argument(help="Its name or id.", metavar="GROUP")],
    force: Annotated[bool, typer.Option("--force", help="Take its agents out of it first.")] = False,
    yes: changes.Yes = False,
    as_json: output.AsJson = False,
) -> None:
    """Delete an agents group. This cannot be undone. One that has agents is kept, unless you force it."""
    group = find_group(name, client.groups())
    changes.confirm(f"Delete the agents group {group.name} of {client.url}?", yes=yes)
    client.delete_group(group.id, force=force)
    if as_json:
        output.answer({"deleted": group})
    else:
        output.line(f"{group.name} is deleted")


def _method(deployment: Deployment | None) -> str:
    return deployment.method if deployment and deployment.by_kraken else "-"
