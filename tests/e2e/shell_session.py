"""A shell in which the commands of a page are typed, one after another: what one exports, the next one has."""

from __future__ import annotations

import doctest
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.runnable_pages import Command
from tests.waiting import eventually

_COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Shell:
    """One shell; `output` keeps all that was typed and printed, for messages."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process = process
        self._directory = directory
        self._end = f"--{secrets.token_hex(8)}"
        self.output: list[str] = []

    def run(self, command: Command) -> None:
        """Type a command, wait for its end, and compare.

        Raises:
            AssertionError: it ended with another code, or printed something else.
        """
        # Standard input is none of the script's: a command that asks must not read the next one.
        self._type(f"{{ {command.typed}\n}} </dev/null\nprintf '\\n%s %d\\n' '{self._end}' $?\n")
        printed, code = self._read()
        self.output.append(f"$ {command.typed}\n{printed}")
        assert code == command.code, f"Exit code {code}, not {command.code}:\n{''.join(self.output)}"
        assert not command.shown or _same(command.shown, printed), _difference(command, printed)

    def start(self, command: Command) -> None:
        """Type a command that runs on, and wait until it has printed what is shown.

        Raises:
            AssertionError: it never does.
        """
        assert command.shown, f"{command.typed}: nothing is shown that says that it has started"
        file = self._directory / f".output-{secrets.token_hex(4)}"
        file.touch()
        self._type(f"{{ {command.typed}\n}} </dev/null >{file} 2>&1 &\n")
        eventually(file.read_text, lambda printed: _same(f"{command.shown}...", printed))

    def _type(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _read(self) -> tuple[str, int]:
        assert self._process.stdout
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(self._end):
                return "".join(lines).removesuffix("\n"), int(line.split()[1])
            lines.append(line)
        raise AssertionError(f"The shell has ended: {''.join(lines)}")


@contextmanager
def shell(directory: Path, environment: Mapping[str, str]) -> Iterator[Shell]:
    """Start a shell in a directory, and end it with all that still runs in it."""
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile"],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Shell(process, directory)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.kill()


def _same(shown: str, printed: str) -> bool:
    return doctest.OutputChecker().check_output(f"{shown}\n", f"{printed}\n", _COMPARED)


def _difference(command: Command, printed: str) -> str:
    wanted = doctest.Example(command.typed, f"{command.shown}\n")
    return f"$ {command.typed}\n{doctest.OutputChecker().output_difference(wanted, printed, _COMPARED)}"
