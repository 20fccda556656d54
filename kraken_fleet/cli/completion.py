"""`kraken-fleet completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from kraken_fleet.cli import output
from kraken_fleet.cli.application import single_command

app = single_command()


class Shell(StrEnum):
    """The shells that Typer can write a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(help="Which shell.", show_default=False)],
) -> None:
    """Print a script for your shell.

    For bash: kraken-fleet completion bash > ~/.local/share/bash-completion/completions/kraken-fleet
    """
    from typer._completion_shared import get_completion_script  # what Typer's own --show-completion calls

    name = "kraken-fleet"
    output.line(get_completion_script(prog_name=name, complete_var="_KRAKEN_FLEET_COMPLETE", shell=shell.value))
