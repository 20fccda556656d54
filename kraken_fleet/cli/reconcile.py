"""`kraken-fleet reconcile`: apply the inventory, once or again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output, planning, progress
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.errors import FleetError
from kraken_fleet.inventory import Inventory
from kraken_fleet.plan import PlanPolicy
from kraken_fleet.reconcile import Event, Memories, RoundFailed, Sleeping, watch
from kraken_fleet.reconcile import reconcile as reconcile_once
from kraken_fleet.state import ReconcileResult, keep_reconcile_result, state_dir

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
    as_json: output.AsEvents = False,
) -> None:
    """Make the server as the inventory wants it. With --watch a round that fails is reported, and the next one follows.

    The inventory is read anew in each round. Agents outside of it are never touched unless pruning is asked for.
    """
    memories = planning.memories(client, accept_peers=accept_peers)
    if keep_watching:
        events = watch(
            client,
            lambda: inventory.anew().fleet(),
            policy,
            interval=interval,
            jitter=jitter,
            memories=memories,
        )
    else:
        events = _once(client, inventory, policy, memories)
    progress.follow(_recorded(events, client.url), as_json=as_json)


def _once(client: KrakenClient, inventory: Inventory, policy: PlanPolicy, memories: Memories) -> Iterator[Event]:
    yield from reconcile_once(client, inventory.fleet(), policy, memories=memories)


def _recorded(events: Iterable[Event], server: str) -> Iterator[Event]:
    """Write down how each round ends, for `kraken-fleet watch`."""
    failed = False
    try:
        for event in events:
            if isinstance(event, RoundFailed):
                failed = True
                _record(server, event.error)
            elif isinstance(event, Sleeping):
                if not failed:
                    _record(server, {})
                failed = False
            yield event
    except FleetError as error:
        _record(server, error.as_dict())
        raise
    if not failed:
        _record(server, {})


def _record(server: str, error: Mapping[str, Any]) -> None:
    ended, failures = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), sorted(error.get("failures") or ())
    message, hint = str(error.get("message") or ""), str(error.get("hint") or "")
    keep_reconcile_result(state_dir(), server, ReconcileResult(ended, message, hint, tuple(failures)))
