"""How a command module starts: the same Typer settings for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from itertools import takewhile
from typing import Any

import typer

PROGRAM = "kraken-fleet"
# The audit log names the command, and a library has no command line: so it is kept here, not read from sys.argv.
_typed: ContextVar[str] = ContextVar("typed", default=PROGRAM)

# Commands inherit it from the first of them.
HELP_OPTIONS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def command_group() -> typer.Typer:
    """Make an application for `kraken-fleet agents list`.

    A command with commands of its own, even when there is only one.
    """
    return typer.Typer(no_args_is_help=True, add_completion=False, callback=_nothing, context_settings=HELP_OPTIONS)


def single_command() -> typer.Typer:
    """Make an application for `kraken-fleet serve`: the module has one function, which is the command."""
    return typer.Typer(add_completion=False, context_settings=HELP_OPTIONS)


def _nothing() -> None:
    # The commands of a group share no options. A docstring would be the group's help, which main.COMMANDS has.
    return


def remember_command(arguments: Sequence[str]) -> None:
    """Keep the first two words of a command line for the audit log; options may have what is nobody's business."""
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    _typed.set(" ".join([PROGRAM, *words[:2]]))


def running_command() -> str:
    """Return what runs: "kraken-fleet agents disable"."""
    return _typed.get()
