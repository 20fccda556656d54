"""`kraken-fleet jobs`: what waits on a server for an agent, and ending it."""

from __future__ import annotations

from typing import Annotated

import typer

from kraken_fleet.api import KrakenClient
from kraken_fleet.cli import changes, output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.connection import connected
from kraken_fleet.cli.selection import matches
from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.model import Job, ago
from kraken_fleet.plan import stranded
from kraken_fleet.reconcile import cancel_jobs
from kraken_fleet.reconcile.waiting_jobs import waiting_jobs

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
    nobodys = {job.id for job in stranded(waiting, client.agents(), client.groups())} if waiting else set()
    shown = [job for job in waiting if not only_stranded or job.id in nobodys]
    if as_json:
        output.answer([{"job": job, "stranded": job.id in nobodys} for job in shown])
        return
    output.table(
        ("ID", "NAME", "RUN", "GROUP", "CREATED", "WHY IT WAITS"),
        [_row(job, "its group has no agent that may take jobs" if job.id in nobodys else "-") for job in shown],
        empty="No job waits for an agent." if not only_stranded else "Each job that waits can be taken by an agent.",
    )


@app.command("cancel")
@connected
def cancel(
    client: KrakenClient,
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers of jobs.", metavar="JOB", show_default=False)] = None,
    all_waiting: Annotated[bool, typer.Option("--waiting", help="All jobs that no agent has taken yet.")] = False,
    only_stranded: Annotated[
        bool, typer.Option("--stranded", help="All jobs whose agents group has no agent that may take jobs.")
    ] = False,
    group: Annotated[
        str,
        typer.Option("--group", help="With these two: only jobs for this agents group; a pattern.", metavar="GROUP"),
    ] = "",
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait until they are over.", min=0)] = 0.0,
    yes: changes.Yes = False,
    as_json: output.AsJson = False,
) -> None:
    """End jobs. This cannot be undone; those that are over stay as they are.

    Exit codes: 0 done; 1 no such job, or the server refused; 3 some done, some not, or not over in time.
    """
    if bool(ids) == (all_waiting or only_stranded):
        raise UsageError("Name the jobs to cancel, or give --waiting or --stranded", hint="See `jobs waiting`")
    if group and ids:
        raise UsageError("--group goes with --waiting and --stranded only")
    jobs = [client.job(number) for number in ids] if ids else _waiting_in(client, group, only_stranded=only_stranded)
    jobs = [job for job in jobs if not job.over]
    if jobs:
        named = ", ".join(f"{job.id} ({job.name})" for job in jobs[:5])
        more = f" and {len(jobs) - 5} more" if len(jobs) > 5 else ""
        changes.confirm(f"Cancel the jobs {named}{more} on {client.url}?", yes=yes)
    changes.follow(cancel_jobs(client, jobs, wait=wait), as_json=as_json)


def _waiting_in(client: KrakenClient, group: str, *, only_stranded: bool) -> list[Job]:
    fits = matches(group or "*", "--group")
    waiting = waiting_jobs(client)
    chosen = stranded(waiting, client.agents(), client.groups()) if only_stranded and waiting else waiting
    found = [job for job in chosen if fits(job.agents_group_name or "")]
    if group and not found:
        raise FleetError(f"No such job waits for an agents group {group!r}", hint="See `kraken-fleet jobs waiting`")
    return found


def _row(job: Job, why: str) -> tuple[object, ...]:
    return job.id, job.name, job.run_id or "-", job.agents_group_name or "-", ago(job.created), job.notes or why
