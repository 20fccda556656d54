"""Runs the programs that tools stand on (git, pytest, go, ...) and passes their output on line by line."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Set, Union

from kraken_agent.tools.masking import Masker
from kraken_agent.tools.output import say
from kraken_agent.tools.processes import descendants

# What upstream's tools return when the time of a step is over; the runner turns it into the reason `step-timeout`.
STEP_TIMEOUT = 10000
# A line longer than this is passed on in pieces, so that a program without line ends cannot fill the memory.
_LONGEST_LINE = 64 * 1024
_READ_SIZE = 64 * 1024
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 1.0

LineHandler = Callable[[str], None]


class Finished(NamedTuple):
    """How a program ended: its exit code (STEP_TIMEOUT when it was stopped), and what it wrote when that was kept."""

    code: int
    output: str

    def from_json(self, program: str) -> Any:
        """Read what it wrote as JSON; None when it wrote nothing.

        Raises:
            ValueError: it is no JSON, and is in the log now; the text says whose it was.
        """
        try:
            return json.loads(self.output or "null")
        except ValueError as error:
            say(self.output)
            raise ValueError(f"{program}'s output is not JSON: {error}") from error


def run_program(
    argv: Sequence[Union[str, Path]],
    *,
    cwd: Union[str, Path, None] = None,
    env: Optional[Mapping[str, str]] = None,
    timeout: Optional[float] = None,
    on_line: LineHandler = say,
    keep: bool = False,
    secrets: Sequence[str] = (),
    split_stderr: bool = False,
) -> Finished:
    """Run a program to its end.

    Args:
        argv: the program and its arguments. They are visible to every user of the host: never a secret.
        cwd: where it runs; default where the tool runs.
        env: its whole environment; default the tool's own.
        timeout: seconds; None or 0 for no limit.
        on_line: takes each line without its line end; standard error too, unless `split_stderr`.
        keep: also return the output.
        secrets: replaced by asterisks in every line.
        split_stderr: leave standard error alone: it goes where the tool's own goes, unmasked.

    Raises:
        OSError: the program or the directory does not exist.
    """
    deadline = time.monotonic() + timeout if timeout else None
    lines = _Lines(on_line, secrets, keep=keep)
    process = subprocess.Popen(
        [str(word) for word in argv],
        cwd=cwd,
        env=env,
        # A program that asks something would wait for ever, and kktool's own input may be the step with its secrets.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=None if split_stderr else subprocess.STDOUT,
    )
    try:
        in_time = _pump(process, deadline, lines.feed)
        code = process.wait(None if deadline is None else max(0.0, deadline - time.monotonic())) if in_time else -1
    except subprocess.TimeoutExpired:
        in_time, code = False, -1
    finally:
        if process.poll() is None:
            kill_tree(process)
        if process.stdout is not None:
            process.stdout.close()
    lines.close()
    if not in_time:
        say(f"{argv[0]} was stopped: it ran longer than {timeout:g} seconds")
        return Finished(STEP_TIMEOUT, lines.text())
    return Finished(code, lines.text())


def _pump(process: subprocess.Popen[bytes], deadline: Optional[float], feed: Callable[[bytes], None]) -> bool:
    """Pass output on until it ends. False when the deadline came first.

    A program that has ended while something else keeps its output open (a daemon that it left) is not waited for.
    """
    assert process.stdout is not None  # noqa: S101 - Popen was called with PIPE
    descriptor = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while deadline is None or time.monotonic() < deadline:
            ended = process.poll() is not None
            if selector.select(_POLL_SECONDS):
                chunk = os.read(descriptor, _READ_SIZE)
                if not chunk:
                    return True
                feed(chunk)
            elif ended:
                return True
    return False


class _Lines:
    """Cuts bytes into lines, hides secrets, hands the lines over, and remembers them when asked to."""

    def __init__(self, on_line: LineHandler, secrets: Sequence[str], *, keep: bool) -> None:
        self._on_line = on_line
        self._mask = Masker(secrets).mask_text
        self._keep = keep
        self._rest = b""
        self._kept: List[str] = []

    def feed(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._hand_over(line)
        while len(self._rest) > _LONGEST_LINE:
            self._hand_over(self._rest[:_LONGEST_LINE])
            self._rest = self._rest[_LONGEST_LINE:]

    def close(self) -> None:
        if self._rest:
            self._hand_over(self._rest)
            self._rest = b""

    def text(self) -> str:
        return "".join(line + "\n" for line in self._kept)

    def _hand_over(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if self._keep:
            self._kept.append(text)
        self._on_line(self._mask(text))


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything that it started: first politely, after a second for good."""
    family = {process.pid, *descendants(process.pid)}
    _signal_all(family, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    # What was started in the meantime is found below those that are known.
    for pid in family:
        family.update(descendants(pid))
    family.discard(process.pid)
    _signal_all(family, signal.SIGKILL)
    process.kill()
    process.wait()


def _signal_all(pids: Set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
