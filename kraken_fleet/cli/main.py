"""The command `kraken-fleet`: its table of commands, and how each ends.

A command is one module with a Typer application called `app`, and one line in COMMANDS. The module is imported when the
command is used, so that a command pays only for what it needs.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from kraken_fleet import __version__
from kraken_fleet.cli import output
from kraken_fleet.cli.application import HELP_OPTIONS, PROGRAM, remember_command
from kraken_fleet.errors import FleetError, UsageError

# 128 and the number of SIGINT, as shells have it.
_INTERRUPTED = 130
# The base of every error that Typer itself finds in a command line. Typer exports only its children.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]


class Entry(NamedTuple):
    """One line of the table.

    Args:
        module: its name under kraken_fleet.cli.
        help: what the command does, in one line.
        extra: the extra of the package that brings what the command needs beyond the rest.
    """

    module: str
    help: str
    extra: str = ""


COMMANDS = {
    "agents": Entry("agents", "Agents: list, show, enable, disable, drain, delete; groups."),
    "apply": Entry("apply", "Make the server as an inventory, or a saved plan, says."),
    "authorize": Entry("authorize", "Authorize agents that wait for it."),
    "bundle": Entry("bundle", "Build kkagent and kktool, the files that run on hosts."),
    "cloud-init": Entry("cloud_init", "User data that makes a new machine of a cloud an agent."),
    "completion": Entry("completion", "A script that completes commands in your shell."),
    "console": Entry("console", "The web console, for any Kraken server.", extra="console"),
    "deploy": Entry("deploy", "Deploy the agents of an inventory, in slices if wanted."),
    "discovered": Entry("discovered", "Agents that wait to be authorized: list, ignore."),
    "doctor": Entry("doctor", "Can the hosts of an inventory be agents?"),
    "firewall": Entry("firewall", "Firewall rules that allow only an inventory's agents."),
    "groups": Entry("groups", "Agents groups: list, create, rename, delete."),
    "jobs": Entry("jobs", "Jobs that wait for an agent or that nobody can take; cancel."),
    "lab": Entry("lab", "A disposable fleet on this machine."),
    "metrics": Entry("metrics", "Numbers about a server for Prometheus.", extra="metrics"),
    "plan": Entry("plan", "What a deploy would change on the server."),
    "reconcile": Entry("reconcile", "Apply an inventory, once or again and again."),
    "serve": Entry("serve", "Run the embedded Kraken-compatible server.", extra="server"),
    "upgrade": Entry("upgrade", "Upgrade the agents of an inventory, in slices if wanted."),
    "watch": Entry("watch", "Tell people what is wrong with a fleet: web hook, mail, chat.", extra="watch"),
    "worker": Entry("worker", "Work on slices of hosts for `deploy` and `upgrade`.", extra="scale"),
}
# What people type who look for one of these.
_ELSEWHERE = {
    **dict.fromkeys(["deploy-agents", "install"], "kraken-fleet deploy -i INVENTORY"),
    **dict.fromkeys(["upgrade-agents", "update"], "kraken-fleet upgrade -i INVENTORY"),
    **dict.fromkeys(["remove", "uninstall"], "ansible-playbook -i INVENTORY kraken_ci.fleet.remove_agents"),
    "demo": "kraken-fleet lab demo",
    "drain": "kraken-fleet agents drain",
    "enable": "kraken-fleet agents enable",
    "disable": "kraken-fleet agents disable",
    "list": "kraken-fleet agents list",
    "server": "kraken-fleet serve",
    "notify": "kraken-fleet watch",
    "version": "kraken-fleet --version",
    "help": "kraken-fleet --help",
}
_COMPLETE_VARIABLE = "_KRAKEN_FLEET_COMPLETE"
_LINE_END = re.compile(r"(?<!\n)\n(?!\n)")


class LazyCommands(TyperGroup):
    """Knows the names and texts of all commands, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        return TyperCommand(name=cmd_name, help=entry.help) if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except _CommandLineError as error:
            error.message = _with_suggestion(args[0], str(getattr(error, "message", error)))  # type: ignore[attr-defined]
            raise
        return name, load(name) if name in COMMANDS else command, rest


def _with_suggestion(typed: str, message: str) -> str:
    """Say what a person may have meant who typed a command that there is not."""
    if typed in COMMANDS or typed.startswith("-"):
        return message
    near = difflib.get_close_matches(typed, [*COMMANDS, *_ELSEWHERE], n=1)
    if not near:
        return message
    meant = _ELSEWHERE.get(near[0], f"{PROGRAM} {near[0]}")
    return f"{message.rstrip('.')}. Did you mean `{meant}`?"


def load(name: str) -> Any:
    """Import one command.

    Raises:
        FleetError: it needs a package that is not installed.
    """
    entry = COMMANDS[name]
    try:
        module = importlib.import_module(f"kraken_fleet.cli.{entry.module}")
    except ModuleNotFoundError as error:
        # A module of our own that is missing is a fault here, and nothing to install.
        if not entry.extra or (error.name or "").startswith("kraken_fleet"):
            raise
        hint = f"Install it with `pip install 'kraken-fleet[{entry.extra}]'`"
        raise FleetError(f"`{PROGRAM} {name}` needs the Python package {error.name!r}", hint=hint) from error
    command = typer.main.get_command(module.app)
    command.name = name
    command.help = command.help or entry.help
    _join_lines(command)
    return command


def _join_lines(command: Any) -> None:
    """Join the lines of each paragraph of a docstring: Typer shows them as they are, and breaks them once more."""
    command.help = _LINE_END.sub(" ", inspect.cleandoc(command.help or ""))
    for each in getattr(command, "commands", {}).values():
        _join_lines(each)


app = typer.Typer(
    name=PROGRAM,
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings=HELP_OPTIONS,
    epilog="Exit codes: 0 done; 1 failed; 2 there are changes (plan); 3 some done, some not; 4 there are findings "
    "(plan --fail-on); 64 wrong command line; 130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        output.line(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Declarative fleets of Kraken CI build agents: an inventory in, authorized and grouped agents out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    remember_command(arguments)
    if _COMPLETE_VARIABLE in os.environ:
        from typer._completion_classes import completion_init  # what Typer's own --show-completion calls

        completion_init()
    try:
        # standalone_mode=False: Typer would print errors in its own form and exit by itself.
        code = typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except FleetError as error:
        output.error(error, as_json=as_json)
        return error.exit_code
    except _CommandLineError as error:
        return _wrong_command_line(error, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        output.error(FleetError("Interrupted"), as_json=as_json)
    return code if isinstance(code, int) else 0


def _wrong_command_line(error: Any, *, as_json: bool) -> int:
    message = error.format_message()
    if not message:  # a group without a command: its help has been shown instead
        return UsageError.exit_code
    path = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    output.error(UsageError(message.rstrip("."), hint=f"See `{path} --help`"), as_json=as_json)
    return UsageError.exit_code


if __name__ == "__main__":
    sys.exit(main())
