"""`kraken-fleet metrics`: numbers about a Kraken server, for Prometheus."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet import whole_file
from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output, planning
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.connection import connected
from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.metrics import failed_text, text
from kraken_fleet.plan import PlanPolicy
from kraken_fleet.reconcile import read_server
from kraken_fleet.state import KEPT, recent_deploys, state_dir

app = single_command()


@app.command()
@connected
@planning.with_policy
def metrics(
    client: KrakenClient,
    policy: PlanPolicy,
    textfile: Annotated[
        Path | None,
        typer.Option(
            "--textfile", help="Write them for the textfile collector of node_exporter: NAME.prom.", metavar="FILE"
        ),
    ] = None,
    inventory: Inventory | None = None,
) -> None:
    """Print metrics of a server as Prometheus reads them; with an inventory also findings and drift.

    When the server cannot be read, the file says so with kraken_fleet_server_up 0. Exit codes: 0 done; 1 failed.
    """
    if textfile and textfile.suffix != ".prom":
        raise UsageError("node_exporter reads only files called *.prom", where=str(textfile))
    started = time.monotonic()
    # Before the server is read: what is wrong with the inventory says nothing of the server.
    desired = inventory.fleet() if inventory else None
    try:
        reading = read_server(client, desired, policy, memories=planning.memories(client))
    except FleetError:
        if textfile:
            _write(textfile, failed_text())
        raise
    found = text(reading, time.monotonic() - started, recent_deploys(state_dir(), KEPT))
    if textfile:
        _write(textfile, found)
    else:
        output.line(found.decode().rstrip("\n"))


def _write(path: Path, content: bytes) -> None:
    """Write the file whole or not at all, so that it is never read half."""
    try:
        whole_file.write(path, content, 0o644, any_umask=True)  # node_exporter runs as another user
    except OSError as error:
        raise FleetError(f"The metrics cannot be written: {error.strerror}", where=str(path)) from error
