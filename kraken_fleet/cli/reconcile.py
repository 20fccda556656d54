"""`kraken-fleet reconcile`: apply the inventory, once or again and again."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output, planning, progress
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.inventory import Inventory
from kraken_fleet.plan import PlanPolicy
from kraken_fleet.reconcile import reconcile as reconcile_once
from kraken_fleet.reconcile import watch

app = single_command()


@app.command()
@connected
@planning.with_policy
def reconcile(
    client: KrakenClient,
    policy: PlanPolicy,
    inventory: Inventory,
    keep_watching: Annotated[bool, typer.Option("--watch", help="Repeat until interrupted.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two rounds.", min=1)] = 300.0,
    jitter: Annotated[
        float, typer.Option(help="Share of the interval that is added or left out at random.", min=0, max=1)
    ] = 0.1,
    accept_peers: planning.AcceptPeers = False,
    as_json: output.AsJson = False,
) -> None:
    """Make the server as the inventory wants it. With --watch a round that fails is reported, and the next one follows.

    The inventory is read anew in each round. Agents outside of it are never touched unless pruning is asked for.
    """
    memory, peers = planning.memory(), planning.peers(accept=accept_peers)
    if keep_watching:
        events = watch(
            client,
            lambda: inventory.anew().fleet(),
            policy,
            interval=interval,
            jitter=jitter,
            memory=memory,
            peers=peers,
        )
    else:
        events = reconcile_once(client, inventory.fleet(), policy, memory=memory, peers=peers)
    progress.follow(events, as_json=as_json)
