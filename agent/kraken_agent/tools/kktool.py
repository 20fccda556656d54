"""The command line of kktool, which is upstream's: `kktool -m MODULE -r HOST:PORT -s STEP_FILE COMMAND`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional

from kraken_agent import __version__
from kraken_agent.tools import runner
from kraken_agent.tools.catalog import BUILTIN_COMMANDS, builtin_module
from kraken_agent.tools.channel import open_channel
from kraken_agent.tools.integrity import check_integrity


def main(argv: Optional[List[str]] = None) -> int:
    """Run kktool; return its exit code: 0 when the message about the end was delivered, 1 when not, 2 for bad usage.

    How the tool itself ended is in the last message, not in the exit code: that is upstream's contract.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "check-integrity":
        return check_integrity("kktool", lambda: [str(builtin_module(name)) for name in BUILTIN_COMMANDS])
    if not arguments.module or not arguments.step_file:
        sys.stderr.write("kktool: --module and --step-file are needed for this command\n")
        return 2
    try:
        step = json.loads(_read(arguments.step_file))
        channel = open_channel(arguments.return_address or "")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"kktool: {error}\n")
        return 1
    try:
        runner.execute(_prepare_import(arguments.module), arguments.command, step, channel.send)
    finally:
        channel.close()
    return 0


def _read(path: str) -> str:
    """Return the text of a file or, for a step that must not be left on a disk, of standard input."""
    return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kktool", description="Runs one command of a Kraken tool on a step.")
    parser.add_argument("-r", "--return-address", help="HOST:PORT or fd:NUMBER that gets progress and end status")
    parser.add_argument("-s", "--step-file", help="path of the step, in JSON; - is standard input")
    parser.add_argument("-m", "--module", help="a built-in tool, a full module name, or ZIP_FILE:MODULE")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("command", help=f"one of check-integrity, {', '.join(runner.COMMANDS)}")
    return parser


def _prepare_import(module: str) -> str:
    """Make a module importable and return its name; `tool.zip:entry` puts the zip and its vendor/ on the path."""
    archive, colon, entry = module.rpartition(":")
    if colon:
        sys.path[:0] = [archive, str(Path(archive) / "vendor")]
        return entry
    return builtin_module(module) or module
