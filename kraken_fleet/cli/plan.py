"""`kraken-fleet plan`: what a deploy would change on the server. Changes nothing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet import whole_file
from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output, planning
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.errors import PlanError
from kraken_fleet.inventory import Inventory
from kraken_fleet.plan import Plan, PlanPolicy, make_plan, plan_to_dict, plan_to_json
from kraken_fleet.reconcile import observe, with_waiting_jobs

app = single_command()
_CHANGES = 2
_FINDINGS = 4


class FailOn(StrEnum):
    """Which findings let the command end with a code of its own."""

    FINDING = "finding"
    WARNING = "warning"


@app.command()
@connected
@planning.with_policy
def plan(
    client: KrakenClient,
    policy: PlanPolicy,
    inventory: Inventory,
    out: Annotated[
        Path | None, typer.Option("--out", help="Save the plan for `kraken-fleet apply`.", metavar="FILE")
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            "--fail-on",
            help="End with code 4 when nothing would change but there are findings: `warning` or `finding`.",
        ),
    ] = None,
    accept_peers: planning.AcceptPeers = False,
    as_json: output.AsJson = False,
) -> None:
    """Compare an inventory with the server.

    Exit code 0: no changes; 2: changes; 4: none, but findings that --fail-on names; 1: error. With --fail-on it is a
    gate for CI: `warning` means warnings and errors, `finding` also what is only told.
    """
    desired = inventory.fleet()
    peers = planning.peers(accept=accept_peers)
    seen = observe(client, names=desired.groups, memory=planning.memory(), peers=peers)
    observed = with_waiting_jobs(client, seen)
    policy = planning.nonces(client).policy(policy, desired)
    made = make_plan(desired, observed, policy, now=client.server_time(), server=client.url)
    if out:
        _save(made, out)
    if as_json:
        output.answer(plan_to_dict(made))
    else:
        planning.show(made)
    if made.changes:
        raise typer.Exit(_CHANGES)
    if fail_on and any(fail_on == FailOn.FINDING or one.severity != "info" for one in made.findings):
        raise typer.Exit(_FINDINGS)


def _save(made: Plan, path: Path) -> None:
    """Write the plan whole or not at all: a half-written plan must not be applied."""
    try:
        if path.exists() and not path.is_file():  # a pipe or /dev/stdout is written to, never replaced
            path.write_text(plan_to_json(made), encoding="utf-8")
            return
        whole_file.write(path, plan_to_json(made))
    except OSError as error:
        raise PlanError(f"The plan cannot be saved: {error.strerror}", where=str(path)) from error
