"""`kraken-fleet upgrade`: runs upgrade-agents.yml, as one ansible-playbook, or its batches in slices."""

from __future__ import annotations

from contextlib import closing

import typer

from kraken_fleet.cli import slice_options
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connect
from kraken_fleet.cli.deploy_progress import follow
from kraken_fleet.cli.interrupts import ended_by_signals
from kraken_fleet.inventory import Inventory
from kraken_fleet.scale import UPGRADE, playbook_command, upgrade_in_slices

app = single_command()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@slice_options.with_slices
def upgrade(context: typer.Context, inventory: Inventory, given: slice_options.GivenOptions) -> None:
    """Upgrade the agents of an inventory, as `ansible-playbook kraken_ci.fleet.upgrade_agents` does.

    All options of ansible-playbook can be given. Exit codes are those of ansible-playbook: 0 done, 2 hosts have failed,
    4 hosts were not reached.

    With --slices or --workers the hosts of each batch are upgraded slice by slice, each by an ansible-playbook of its
    own. This machine drains the agents of a batch, proves them and enables them before it begins the next one. When it
    is interrupted, it enables those that are as they were or that are proven already, and names the others.
    """
    if not given.wanted:
        raise typer.Exit(
            slice_options.run_here(playbook_command(inventory, UPGRADE, *given.phases.options, *context.args))
        )
    given.refuse(context.args)
    runner = given.runner()
    with (
        ended_by_signals(),
        connect(inventory) as client,
        closing(upgrade_in_slices(inventory, client, runner, given.size, given.phases)) as events,
    ):
        code = follow(events, as_json=given.as_json)
    raise typer.Exit(code)
