"""`kraken-fleet serve`: the embedded Kraken-compatible server."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraken_fleet import whole_file
from kraken_fleet.cli import output
from kraken_fleet.cli.application import HELP_OPTIONS
from kraken_fleet.cli.console_account import GivenAccess, with_access
from kraken_fleet.cli.limits import Proxies, with_limits
from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.listen import Limits
from kraken_fleet.server import Ready, ServerSettings
from kraken_fleet.server import serve as run_server
from kraken_fleet.server.backup import Manifest, back_up
from kraken_fleet.server.backup import restore as restore_backup
from kraken_fleet.server.store.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from kraken_fleet.web import ConsoleSettings

app = typer.Typer(add_completion=False, context_settings=HELP_OPTIONS)
_DATA_DIR = Path("kraken-server")
_DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help=f"The server's data directory; {_DATA_DIR} when it is not given.",
        metavar="DIR",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
@with_limits()
@with_access()
def serve(
    context: typer.Context,
    limits: Limits,
    access: GivenAccess,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0, max=65535)] = 6363,
    log_port: Annotated[
        int, typer.Option("--log-port", help="UDP port for the agents' logs; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Where it keeps its database.", metavar="DIR")
    ] = _DATA_DIR,
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
    if context.invoked_subcommand:
        _refuse_options_of_the_server(context)
        return
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
    console, of_console = MountedConsole(), _console_settings(settings, access)

    def announce(ready: Ready) -> None:
        console.show(of_console(ready))
        if ready_file:
            _write_ready(ready_file, ready)
        if as_json:
            output.answer({"url": ready.url, "log_addr": ready.log_addr, "first_password": next(iter(passwords), None)})
        else:
            _tell(ready, passwords)

    with suppress(KeyboardInterrupt):  # the way to end it, not a failure
        run_server(settings, mounts=[("/", console)], on_first_password=passwords.append, on_ready=announce)


@app.command("backup")
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The archive to make.", metavar="FILE")],
    data_dir: _DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Back up a server's database and files into one archive, while the server runs or not."""
    made = back_up(_data_dir(context, data_dir), file, force=force)
    if as_json:
        output.answer({"file": str(file), "size": file.stat().st_size, **_described(made)})
        return
    size = file.stat().st_size / 1024
    output.line(
        f"{file}: {size:.0f} KiB, database of version {made.database_version}, other files: {len(made.files) - 1}."
    )
    output.line("Keep it as safe as the server: it has the hashes of passwords, and the secrets of projects.")


@app.command("restore")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The archive that `serve backup` made.", metavar="FILE")],
    data_dir: _DataDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Move what is in the data directory into a new directory beside it.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Put a backup into a data directory that no server uses. Everything is checked before anything is changed."""
    directory = _data_dir(context, data_dir)
    restored = restore_backup(file, directory, force=force)
    if as_json:
        before = str(restored.before) if restored.before else None
        output.answer({"data_dir": str(directory), "before": before, **_described(restored.manifest)})
        return
    output.line(f"{directory} is as on {restored.manifest.made}, from {file}.")
    if restored.manifest.database_version != SCHEMA_VERSION:
        output.line(
            f"Its database had version {restored.manifest.database_version}, and has version {SCHEMA_VERSION} now"
        )
    if restored.before:
        output.line(f"What was there before is in {restored.before}")
    output.line(f"Start the server: kraken-fleet serve --data-dir {shlex.quote(str(directory))}")


def _refuse_options_of_the_server(context: typer.Context) -> None:
    """Refuse options before the name of a subcommand: without this they would be ignored.

    `--data-dir` is passed on, for it means the same to all of them.
    """
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source and source.name == "COMMANDLINE" and option.name != "data_dir":
            message = f"{option.opts[0]} before `{context.invoked_subcommand}` is an option of the server"
            raise UsageError(message, hint=f"Write it after `{context.invoked_subcommand}` if it is an option of that")


def _data_dir(context: typer.Context, given: Path | None) -> Path:
    before_the_name: Path = context.parent.params["data_dir"] if context.parent else _DATA_DIR
    return given or before_the_name


def _described(manifest: Manifest) -> dict[str, object]:
    described = asdict(manifest)
    return {**described, "files": [{"name": name, **entry} for name, entry in described["files"].items()]}


def _console_settings(settings: ServerSettings, access: GivenAccess) -> Callable[[Ready], ConsoleSettings]:
    """Return what makes the console's settings of the server's. What is wrong with them is said before it starts."""
    # Imported here: the web framework takes long to import, and `serve backup` needs none of it.
    from kraken_fleet.web import ConsoleSettings

    account = access.accounts.of_this_server(needed=access.needs_account)
    sign_on = access.sign_on(settings.proxies)
    return lambda ready: ConsoleSettings(
        ready.url,
        settings.data_dir / "console",
        limits=settings.limits,
        account=account,
        viewers=access.viewers,
        sign_on=sign_on,
        health=ready.health,
    )


class MountedConsole:
    """The console, mounted before the server knows its own URL and made when it does."""

    def __init__(self) -> None:
        self._application: Any = None

    def show(self, settings: ConsoleSettings) -> None:
        """Make the console, and show it from now on."""
        from kraken_fleet.web import create_console

        self._application = create_console(settings)

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
    try:
        whole_file.write(path, json.dumps({"url": ready.url, "log_addr": ready.log_addr}))
    except OSError as error:
        raise FleetError(f"The ready file cannot be written: {error.strerror}", where=str(path)) from error
