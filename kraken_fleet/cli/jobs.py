"""`kraken-fleet jobs`: what waits on a server for an agent."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected
from kraken_fleet.model import Job, ago
from kraken_fleet.plan import stranded
from kraken_fleet.reconcile.waiting import waiting_jobs

app = command_group()


@app.command("waiting")
@connected
def list_waiting(
    client: KrakenClient,
    only_stranded: Annotated[
        bool, typer.Option("--stranded", help="Only those whose agents group has no agent that may take jobs.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """List the jobs that no agent has taken yet. Changes nothing."""
    waiting = waiting_jobs(client)
    nobodys = {job.id for job in stranded(waiting, client.agents())} if waiting else set()
    shown = [job for job in waiting if not only_stranded or job.id in nobodys]
    if as_json:
        output.answer([{"job": job, "stranded": job.id in nobodys} for job in shown])
        return
    output.table(
        ("ID", "NAME", "RUN", "GROUP", "CREATED", "WHY IT WAITS"),
        [_row(job, "its group has no agent that may take jobs" if job.id in nobodys else "-") for job in shown],
        empty="No job waits for an agent." if not only_stranded else "Each job that waits can be taken by an agent.",
    )


def _row(job: Job, why: str) -> tuple[object, ...]:
    return job.id, job.name, job.run_id or "-", job.agents_group_name or "-", ago(job.created), job.notes or why
