"""`kraken-fleet worker`: works on slices of hosts for `kraken-fleet deploy --workers` and `upgrade --workers`."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.tls_options import TlsCa, TlsCertificate, TlsKey, given_files
from kraken_fleet.scale.tls import SCHEME, checked_address

app = single_command()


@app.command()
def worker(
    scheduler: Annotated[
        str,
        typer.Option("--scheduler", help=f"{SCHEME}HOST:PORT of a Dask scheduler.", envvar="KRAKEN_FLEET_SCHEDULER"),
    ],
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    slices: Annotated[int, typer.Option("--slices-at-once", min=1, help="How many slices at the same time.")] = 1,
    name: Annotated[str, typer.Option("--name", help="How a deploy calls it; the default is the host's name.")] = "",
) -> None:
    """Deploy and upgrade slices of hosts that a scheduler hands out, until the scheduler ends.

    It connects to hosts with the SSH keys of the account that it runs as. It is sent no secret, and runs whatever the
    scheduler sends: only machines with a certificate of the authority can send it something.
    """
    from kraken_fleet.scale.dask_runner import serve_as_worker

    address, files = checked_address(scheduler), given_files(tls_ca, tls_certificate, tls_key)
    output.line(f"Working for {address}")
    serve_as_worker(address, files, slices=slices, name=name or platform.node())
