"""Completion, short help, and what a person may have meant."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kraken_fleet.cli.main import COMMANDS, main


def _completed(words: str) -> list[str]:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_KRAKEN_FLEET_COMPLETE": "complete_bash"}
    command = [sys.executable, "-m", "kraken_fleet.cli.main"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_commands_and_options_are_completed() -> None:
    assert _completed("kraken-fleet ag") == ["agents"]
    assert _completed("kraken-fleet agents d") == ["disable", "drain", "delete"]
    assert _completed("kraken-fleet agents drain --un") == ["--until"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_calls_the_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_KRAKEN_FLEET_COMPLETE=complete_" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("agnets", "`kraken-fleet agents`"),
        ("disocvered", "`kraken-fleet discovered`"),
        ("update", "kraken-fleet upgrade -i INVENTORY`"),
        ("deploy-agents", "kraken-fleet deploy -i INVENTORY`"),
        ("drain", "`kraken-fleet agents drain`"),
        ("notify", "`kraken-fleet watch`"),
    ],
)
def test_a_mistyped_command_gets_a_suggestion(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed]) == 64
    said = capsys.readouterr().err
    assert "Did you mean `" in said
    assert meant in said


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["agents", "drain"], ["lab", "up"]])
def test_help_is_short_too(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "-h"]) == 0
    assert "Usage:" in capsys.readouterr().out
