"""`kraken-fleet serve`: the embedded Kraken-compatible server."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command
from kraken_fleet.cli.limits import Proxies, with_limits
from kraken_fleet.errors import FleetError
from kraken_fleet.listen import Limits
from kraken_fleet.server import Ready, ServerSettings
from kraken_fleet.server import serve as run_server

app = single_command()


@app.command()
@with_limits()
def serve(
    limits: Limits,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0, max=65535)] = 6363,
    log_port: Annotated[
        int, typer.Option("--log-port", help="UDP port for the agents' logs; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where it keeps its database.", metavar="DIR")] = Path(
        "kraken-server"
    ),
    admin_password_file: Annotated[
        Path | None,
        typer.Option(
            "--admin-password-file",
            help="On the first start the administrator gets the password on the first line of this file.",
            metavar="FILE",
        ),
    ] = None,
    proxy: Proxies = None,
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", help="Gets the addresses, as JSON, once it listens.", metavar="FILE"),
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Run the embedded server until Ctrl-C. The first start makes up the administrator's password and shows it once."""
    settings = ServerSettings(
        data_dir=data_dir,
        host=host,
        port=port,
        log_port=log_port,
        admin_password_file=admin_password_file,
        limits=limits,
        proxies=tuple(proxy or ()),
    )
    passwords: list[str] = []
    console = _Console()

    def announce(ready: Ready) -> None:
        console.show(ready, settings)
        if ready_file:
            _write_ready(ready_file, ready)
        if as_json:
            output.answer({"url": ready.url, "log_addr": ready.log_addr, "first_password": next(iter(passwords), None)})
        else:
            _tell(ready, passwords)

    with suppress(KeyboardInterrupt):  # the way to end it, not a failure
        run_server(settings, mounts=[("/", console)], on_first_password=passwords.append, on_ready=announce)


class _Console:
    """The console, mounted before the server knows its own URL and made when it does."""

    def __init__(self) -> None:
        self._application: Any = None

    def show(self, ready: Ready, settings: ServerSettings) -> None:
        from kraken_fleet.web import ConsoleSettings, create_console

        state = settings.data_dir / "console"
        made = ConsoleSettings(ready.url, state, limits=settings.limits, health=ready.health)
        self._application = create_console(made)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._application(scope, receive, send)


def _tell(ready: Ready, passwords: list[str]) -> None:
    output.line(f"Kraken server at {ready.url}, logs of agents to udp {ready.log_addr}. Ctrl-C ends it.")
    for password in passwords:
        output.line(f"First start: the administrator is admin, the password {password}")
        output.line("It is shown only this once; the server keeps no more than a hash of it.")
    output.line(f"Its console: {ready.url}/")


def _write_ready(path: Path, ready: Ready) -> None:
    """Write the file whole or not at all: whoever waits for the file may read it at once."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(json.dumps({"url": ready.url, "log_addr": ready.log_addr}), encoding="utf-8")
        # Renamed when it is whole: whoever waits for the file reads it at once.
        fresh.replace(path)
    except OSError as error:
        raise FleetError(f"The ready file cannot be written: {error.strerror}", where=str(path)) from error
