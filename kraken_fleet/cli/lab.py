"""`kraken-fleet lab`: a disposable fleet on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from kraken_fleet.cli import output
from kraken_fleet.cli.application import command_group
from kraken_fleet.cli.interrupts import ended_by_signals, signals_ignored
from kraken_fleet.cli.lab_progress import LabProgress
from kraken_fleet.errors import VerificationError
from kraken_fleet.lab import DRIVERS, SERVERS, Lab, LabStatus, existing_labs

app = command_group()

Name = Annotated[
    str, typer.Option("--name", help="The name of the lab; several labs can exist at once.", show_default=True)
]
Parent = Annotated[Path, typer.Option("--dir", help="The directory that gets .lab/NAME.", metavar="DIR")]
Hosts = Annotated[int, typer.Option("--hosts", help="How many hosts.", min=1)]
DriverName = Annotated[
    str,
    typer.Option(
        "--driver",
        help=f"What the hosts are made of: {', '.join(DRIVERS)}. Which Debian may follow: docker:trixie, "
        "lxd:bullseye, docker:bookworm-bare (a host without Python).",
    ),
]
ServerName = Annotated[
    str, typer.Option("--server", help=f"{SERVERS[0]}, or {SERVERS[1]}: the unmodified server from PyPI, for root.")
]
Port = Annotated[int, typer.Option("--port", help="The server's port; 0 takes a free one.", min=0, max=65535)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show all that ansible-playbook prints.")]


@app.command("up")
def up(
    hosts: Hosts = 3,
    deploy: Annotated[bool, typer.Option("--deploy/--no-deploy", help="Put agents on the hosts at once.")] = True,
    name: Name = "lab",
    parent: Parent = Path(),
    driver: DriverName = "local",
    server: ServerName = SERVERS[0],
    port: Port = 0,
    verbose: Verbose = False,
    as_json: output.AsJson = False,
) -> None:
    """Make hosts and a Kraken server, and put agents on the hosts with the real playbook."""
    lab, progress = Lab(parent, name), LabProgress(quiet=as_json, verbose=verbose)
    with ended_by_signals():
        progress.follow(lab.up(hosts=hosts, driver=driver, server=server, port=port))
        if deploy:
            progress.follow(lab.deploy())
    if as_json:
        output.answer(lab.status())
        return
    where = lab.paths.directory
    output.line(f"\nThe lab is in {where}. To work with it:")
    output.line(f"  . {shlex.quote(str(lab.paths.environment))}")
    output.line("  kraken-fleet agents list")
    output.line(f"  ansible-playbook {shlex.quote(lab.playbook_for_people())}")
    output.line(f"  {lab.paths.down_command}")


@app.command("demo")
def demo(
    hosts: Hosts = 3,
    name: Name = "demo",
    parent: Parent = Path(),
    driver: DriverName = "local",
    server: ServerName = SERVERS[0],
    verbose: Verbose = False,
    as_json: output.AsJson = False,
) -> None:
    """Try the product: a server, hosts, agents by the playbook, a job on each agent; then all is removed."""
    lab, progress = Lab(parent, name), LabProgress(quiet=as_json, verbose=verbose)
    with ended_by_signals():
        lab.down()
        try:
            progress.follow(lab.up(hosts=hosts, driver=driver, server=server))
            progress.title("First deploy: from bare hosts to agents that have run a job")
            first = progress.follow(lab.deploy())
            progress.title("Second deploy: nothing is left to do")
            second = progress.follow(lab.deploy())
        finally:
            with signals_ignored():
                lab.down()
    changes = second.changes
    if changes:
        raise VerificationError(f"The second deploy changed something: {changes}", where="deploy-agents.yml")
    if as_json:
        output.answer({"first": first, "second": second, "removed": True})
    else:
        output.line("\nThe second deploy changed nothing. Everything is removed again.")


@app.command("status")
def status(name: Name = "lab", parent: Parent = Path(), as_json: output.AsJson = False) -> None:
    """Show a lab's server and hosts."""
    found = Lab(parent, name).status()
    if as_json:
        output.answer(found)
        return
    output.line(f"{found.name} ({found.driver}) in {found.directory}")
    output.line(f"Server {found.server_url or '-'}: {'running' if found.server_running else 'not running'}")
    output.table(("HOST", "ADDRESS", "AGENT", "ON THE SERVER", "GROUPS"), list(_rows(found)), empty="No hosts.")


@app.command("down")
def down(
    name: Name = "lab",
    parent: Parent = Path(),
    everything: Annotated[bool, typer.Option("--all", help="Every lab of this directory.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Remove a lab: its processes, its hosts, its directory. Nothing is left; a second time does nothing."""
    names = existing_labs(parent) if everything else (name,)
    with signals_ignored():
        removed = [each for each in names if Lab(parent, each).down()]
    if as_json:
        output.answer({"removed": removed})
        return
    output.line(f"Removed: {', '.join(removed)}" if removed else "There was nothing to remove.")


def _rows(found: LabStatus) -> Iterator[tuple[str, ...]]:
    for each in found.hosts:
        agent = each.agent
        seen = "unknown" if agent is None else "authorized" if agent.authorized else "waits to be authorized"
        groups = ", ".join(sorted(agent.group_names)) if agent else ""
        yield each.host.name, each.host.address, "running" if each.running else "not running", seen, groups or "-"
