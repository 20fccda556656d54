"""`kraken-fleet deploy`: runs deploy-agents.yml, as one ansible-playbook or in slices."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.deploy_progress import follow
from kraken_fleet.cli.deploy_record import recorded
from kraken_fleet.cli.options import with_options
from kraken_fleet.cli.source import given_inventory, inventory_options
from kraken_fleet.cli.tls_options import TlsCa, TlsCertificate, TlsKey, given_files
from kraken_fleet.errors import UsageError
from kraken_fleet.inventory import Inventory
from kraken_fleet.scale import DEPLOY, Phases, Runner, deploy_in_slices, playbook_command
from kraken_fleet.scale.tls import SCHEME

app = single_command()

_SLICES = "Slices"
_HOSTS_PER_SLICE = 250
Tags = Annotated[list[str] | None, typer.Option("--tags", "-t", help="Only this part: agent, registration, verify.")]
SkippedTags = Annotated[list[str] | None, typer.Option("--skip-tags", help="All but this part.")]


def _with_inventory(command: Callable[..., None]) -> Callable[..., None]:
    wanted = inspect.signature(command, eval_str=True).parameters["inventory"]
    # ansible-playbook itself knows where its playbook is.
    options = [one for one in inventory_options(wanted) if one.name != "playbook_dir"]
    return with_options(command, "inventory", options, given_inventory)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@_with_inventory
def deploy(
    context: typer.Context,
    inventory: Inventory,
    check: Annotated[bool, typer.Option("--check", "-C", help="Predict changes, and make none.")] = False,
    diff: Annotated[bool, typer.Option("--diff", "-D", help="Show what changes in files and on the server.")] = False,
    tags: Tags = None,
    skip_tags: SkippedTags = None,
    forks: Annotated[int, typer.Option("--forks", "-f", min=0, help="Hosts at a time in each ansible-playbook.")] = 0,
    slices: Annotated[
        int | None,
        typer.Option(
            "--slices",
            min=1,
            help=f"How many hosts a slice has ({_HOSTS_PER_SLICE}).",
            metavar="HOSTS",
            rich_help_panel=_SLICES,
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers",
            help=f"How many slices at a time on this machine, or the scheduler of other machines: {SCHEME}HOST:PORT.",
            metavar="WHERE",
            rich_help_panel=_SLICES,
        ),
    ] = None,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as a line of JSON.", rich_help_panel=_SLICES)
    ] = False,
) -> None:
    """Deploy the agents of an inventory, as `ansible-playbook kraken_ci.fleet.deploy_agents` does.

    All options of ansible-playbook can be given. Exit codes are those of ansible-playbook: 0 done, 2 hosts have failed,
    4 hosts were not reached.

    With --slices or --workers the hosts are deployed slice by slice, each by an ansible-playbook of its own, and
    registered and proven at the end by this machine.
    """
    phases = partial(Phases, check=check, diff=diff, forks=forks)
    if slices is None and workers is None:
        if as_json or tls_ca or tls_certificate or tls_key:
            raise UsageError("--json and certificates are for a deploy in slices", hint="Give --slices or --workers")
        options = [*phases().options, *_repeated("--tags", tags), *_repeated("--skip-tags", skip_tags), *context.args]
        raise typer.Exit(_run_here(playbook_command(inventory, DEPLOY, *options)))
    if context.args:
        text = f"A deploy in slices does not take {context.args[0]!r}"
        raise UsageError(text, hint="Set it in an ansible.cfg on each worker, or as a variable of the inventory")
    runner = _runner(workers or "1", tls_ca, tls_certificate, tls_key)
    wanted = phases(_parts(tags, skip_tags))
    raise typer.Exit(follow(deploy_in_slices(inventory, runner, slices or _HOSTS_PER_SLICE, wanted), as_json=as_json))


def _repeated(option: str, values: Sequence[str] | None) -> list[str]:
    return [part for value in values or () for part in (option, value)]


def _run_here(command: Sequence[str]) -> int:
    """Run a program in place of this one, which leaves its answer to Ctrl+C to it; return its exit code."""
    with subprocess.Popen(command, env=recorded(os.environ)) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def _parts(tags: Sequence[str] | None, skip_tags: Sequence[str] | None) -> tuple[str, ...]:
    """Return the parts of the deploy that are wanted, in their order.

    Raises:
        UsageError: there is another tag, or no part is left.
    """
    known = Phases().tags
    given = {tag for text in tags or known for tag in text.split(",")}
    skipped = {tag for text in skip_tags or () for tag in text.split(",")}
    if unknown := sorted((given | skipped) - {*known, "all"}):
        text = f"A deploy in slices has no part {unknown[0]!r}"
        raise UsageError(text, hint=f"The parts are {', '.join(known)}")
    wanted = tuple(tag for tag in known if (tag in given or "all" in given) and tag not in skipped)
    if known[0] not in wanted:
        hint = "Leave out --slices and --workers: registration and proof are done by this machine"
        raise UsageError("Without the part 'agent' there is nothing to do in slices", hint=hint)
    return wanted


def _runner(workers: str, ca: Path | None, certificate: Path | None, key: Path | None) -> Runner:
    """Return what runs the slices.

    Raises:
        UsageError: `--workers` is neither a number nor an address with TLS, or a certificate is missing.
    """
    if workers.isdecimal() and int(workers):
        from kraken_fleet.scale.local import LocalRunner

        return LocalRunner(int(workers))
    # Imported here: slices on this machine need no Dask.
    from kraken_fleet.scale.dask_runner import DaskRunner
    from kraken_fleet.scale.tls import checked_address

    return DaskRunner(checked_address(workers), given_files(ca, certificate, key))
