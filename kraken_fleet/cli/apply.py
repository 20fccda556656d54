"""`kraken-fleet apply`: make the server as the inventory wants it, or as a saved plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import changes, output, planning, progress
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.errors import PlanError, UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.plan import DeleteAgent, Plan, PlanPolicy, Prune, plan_from_json
from kraken_fleet.reconcile import apply_saved, reconcile

app = single_command()
# A plan for ten thousand agents has a tenth of it.
_MOST_BYTES = 64 * 1024 * 1024


@app.command()
@connected
@planning.with_policy
def apply(
    client: KrakenClient,
    policy: PlanPolicy,
    file: Annotated[
        Path | None, typer.Argument(help="A plan saved by `kraken-fleet plan --out`.", show_default=False)
    ] = None,
    inventory: Inventory | None = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for agents that are not there yet.")] = 0.0,
    yes: changes.Yes = False,
    as_json: output.AsEvents = False,
) -> None:
    """Apply a saved plan, exactly, when it still fits; or plan from an inventory and apply that at once.

    Deleting agents cannot be undone: the command asks before.

    With a saved plan `-i` is optional. With it, the plan has to be what the inventory asks for, which is worked out
    again with the options of this command.
    """
    desired = inventory.fleet() if inventory else None
    if file:
        saved, nonces = _read(file), planning.nonces(client)
        deleted = sum(isinstance(action, DeleteAgent) for action in saved.actions)
        if deleted:
            changes.confirm(f"Delete {deleted} agents from {client.url}?", yes=yes)
        settled = nonces.policy(policy, desired)
        applied = apply_saved(client, saved, desired=desired, policy=settled, memory=planning.memory())
        events = nonces.forgetting(saved, applied)
    elif desired:
        if policy.prune is Prune.DELETE:
            changes.confirm(f"Delete the agents of {client.url} that the inventory does not have?", yes=yes)
        events = reconcile(client, desired, policy, timeout=wait, memories=planning.memories(client))
    else:
        raise UsageError("Nothing to apply", hint="Give a saved plan, or an inventory with -i")
    progress.follow(events, as_json=as_json)


def _read(path: Path) -> Plan:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise PlanError(f"The plan cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > _MOST_BYTES:
        raise PlanError(f"It has more than {_MOST_BYTES} bytes, which no plan has", where=str(path))
    return plan_from_json(content, where=str(path))
