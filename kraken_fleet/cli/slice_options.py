"""What `deploy` and `upgrade` share: a playbook that runs here as it is, or slices and who works on them."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet.cli.deploy_record import recorded
from kraken_fleet.cli.options import option, with_options
from kraken_fleet.cli.source import given_inventory, inventory_options
from kraken_fleet.cli.tls_options import TlsCa, TlsCertificate, TlsKey, given_files
from kraken_fleet.errors import UsageError
from kraken_fleet.scale import Phases, Runner
from kraken_fleet.scale.tls import SCHEME

_PANEL = "Slices"
_HOSTS_PER_SLICE = 250
_Check = Annotated[bool, typer.Option("--check", "-C", help="Predict changes, and make none.")]
_Diff = Annotated[bool, typer.Option("--diff", "-D", help="Show what changes in files and on the server.")]
_Forks = Annotated[int, typer.Option("--forks", "-f", min=0, help="Hosts at a time in each ansible-playbook.")]
_SliceSize = Annotated[
    int | None,
    typer.Option(
        "--slices",
        min=1,
        help=f"How many hosts a slice has ({_HOSTS_PER_SLICE}).",
        metavar="HOSTS",
        rich_help_panel=_PANEL,
    ),
]
_Workers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        help=f"How many slices at a time on this machine, or the scheduler of other machines: {SCHEME}HOST:PORT.",
        metavar="WHERE",
        rich_help_panel=_PANEL,
    ),
]
_AsJsonLines = Annotated[
    bool, typer.Option("--json", help="Print each event as a line of JSON.", rich_help_panel=_PANEL)
]


def with_slices(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that runs a playbook of the collection the options of that and of slices; it gets them as `given`.

    The options of the inventory are among them, as with_inventory gives them.
    """
    options = [
        option("check", _Check, default=False),
        option("diff", _Diff, default=False),
        option("forks", _Forks, 0),
        option("slices", _SliceSize),
        option("workers", _Workers),
        option("ca", TlsCa),
        option("certificate", TlsCertificate),
        option("key", TlsKey),
        option("as_json", _AsJsonLines, default=False),
    ]
    with_given = with_options(command, "given", options, lambda **given: nullcontext(GivenOptions(**given)))
    wanted = inspect.signature(command, eval_str=True).parameters["inventory"]
    # ansible-playbook itself knows where its playbook is.
    of_inventory = [one for one in inventory_options(wanted) if one.name != "playbook_dir"]
    return with_options(with_given, "inventory", of_inventory, given_inventory)


def run_here(command: Sequence[str]) -> int:
    """Run a program in place of this one, which leaves its answer to Ctrl+C to it; return its exit code."""
    with subprocess.Popen(command, env=recorded(os.environ)) as process:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, before)


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The options of a playbook and of slices, as they were given."""

    check: bool
    diff: bool
    forks: int
    slices: int | None
    workers: str | None
    ca: Path | None
    certificate: Path | None
    key: Path | None
    as_json: bool

    @property
    def wanted(self) -> bool:
        """Whether slices are wanted.

        Raises:
            UsageError: they are not, and another option needs them.
        """
        if self.slices is not None or self.workers is not None:
            return True
        if self.as_json or self.ca or self.certificate or self.key:
            raise UsageError("--json and the options for certificates need --slices or --workers")
        return False

    @property
    def phases(self) -> Phases:
        """What is the same in each part of the playbook."""
        return Phases(check=self.check, diff=self.diff, forks=self.forks)

    @property
    def size(self) -> int:
        """How many hosts a slice has at most."""
        return self.slices or _HOSTS_PER_SLICE

    @staticmethod
    def refuse(more: Sequence[str]) -> None:
        """Refuse further options.

        Raises:
            UsageError: there are some.
        """
        if more:
            hint = "Leave it out, or set it in the ansible.cfg of each worker"
            raise UsageError(f"A deploy or upgrade in slices does not take {more[0]!r}", hint=hint)

    def runner(self) -> Runner:
        """Return what runs the slices.

        Raises:
            UsageError: `--workers` is neither a number nor an address with TLS, or a certificate is missing.
        """
        workers = self.workers or "1"
        if workers.isdecimal() and int(workers):
            from kraken_fleet.scale.local import LocalRunner

            return LocalRunner(int(workers))
        # Imported here: slices on this machine need no Dask.
        from kraken_fleet.scale.dask_runner import DaskRunner
        from kraken_fleet.scale.tls import checked_address

        return DaskRunner(checked_address(workers), given_files(self.ca, self.certificate, self.key))
