"""A container that runs, and programs in it.

Nothing is needed in there but `/bin/sh`. A program is started through a line of shell that first says its process id,
so that it can be ended with everything it started.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType, TracebackType
from typing import Callable, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Type

from kraken_agent.executors.base import ExecutorError

OnBytes = Callable[[bytes], None]

PRINT_PID = 'echo $$; exec "$@"'
# Of two streams nobody can tell afterwards which line came first, so a shell step has only one.
ONE_STREAM = 'echo $$; exec "$@" 2>&1'
# Signals a process, its group and all its descendants, with nothing but the shell: $1 signal, $2 process.
_END_TREE = """
family=$2 found=$2
while [ -n "$found" ]; do
    parents=" $found " found=
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        rest=${line##*) } rest=${rest#* }
        case $parents in *" ${rest%% *} "*) found="$found ${line%% *}" ;; esac
    done
    found=${found# } family="$family $found"
done
kill -s "$1" -- "-$2" 2>/dev/null
kill -s "$1" $family 2>/dev/null
exit 0
"""
# The handler of SIGTERM only sets a flag, and Python goes on waiting after it (PEP 475): so no wait is longer than
# this.
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 2.0


class Program(NamedTuple):
    """A program for a container.

    Attributes:
        argv: the command line.
        env: variables on top of the container's own.
        cwd: the directory to run in.
        user: whom to run as; empty for root.
        stdin: all that it can read.
        on_stdout, on_stderr: take what it writes, as it comes.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    user: str
    stdin: bytes
    on_stdout: OnBytes
    on_stderr: OnBytes


class Box(Protocol):
    """A container that runs. Every method raises ExecutorError."""

    def execute(self, program: Program) -> int:
        """Run a program to its end; return its exit code. It is used from two threads."""

    def unpack(self, archive: bytes) -> None:
        """Unpack a tar archive at the root."""


def run_as_root(box: Box, argv: Sequence[str], stdin: bytes = b"") -> str:
    """Run a short program for the agent itself; return its output.

    Raises:
        ExecutorError: it failed; the text has what it wrote.
    """
    output: List[bytes] = []
    code = box.execute(Program(argv, {}, "/", "0", stdin, output.append, output.append))
    text = b"".join(output).decode("utf-8", "replace").strip()
    if code != 0:
        raise ExecutorError(f"{' '.join(argv)} failed in the container: {text}")
    return text


def survive_broken_pipes() -> None:
    """Make writing to a connection that the other side has closed an error, as Python code expects it.

    The agent's children begin with the signal's default, which ends them, since that is what programs expect.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


class Stopping:
    """True within its `with` block once SIGTERM has come."""

    def __init__(self) -> None:
        self._asked = False

    def __bool__(self) -> bool:
        return self._asked

    def __enter__(self) -> Stopping:
        self._before = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        self._asked = True


class RunningProgram:
    """A program that runs. A thread waits for it, so that the child can be told to stop.

    Args:
        box: where.
        program: what.
        prologue: PRINT_PID or ONE_STREAM.
    """

    def __init__(self, box: Box, program: Program, prologue: str) -> None:
        self._box = box
        self._on_stdout = program.on_stdout
        argv = ["/bin/sh", "-c", prologue, "sh", *program.argv]
        self._program = program._replace(argv=argv, on_stdout=self._take)
        self._first = b""
        self._pid: Optional[int] = None
        self._code = 0
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._code = self._box.execute(self._program)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            self._error = error

    def finish(self, stopping: Stopping) -> int:
        """Wait for the end; return the exit code, -15 when the program was stopped.

        The agent gives five seconds between its SIGTERM and SIGKILL; half of them are the program's.
        """
        while not self._wait(_POLL_SECONDS):
            if not stopping:
                continue
            for name in ("TERM", "KILL"):
                self._signal(name)
                if self._wait(_GRACE_SECONDS):
                    break
            return -signal.SIGTERM
        if self._error is not None:
            raise self._error
        return self._code

    def _wait(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _signal(self, name: str) -> None:
        if self._pid is not None:
            with contextlib.suppress(ExecutorError):
                run_as_root(self._box, ["/bin/sh", "-c", _END_TREE, "sh", name, str(self._pid)])

    def _take(self, data: bytes) -> None:
        """Take output: the first line is the process id, everything after it is the program's own."""
        if self._pid is not None:
            self._on_stdout(data)
            return
        self._first += data
        line, end, rest = self._first.partition(b"\n")
        if not end:
            return
        if not line.strip().isdigit():
            # The engine's own words, when the program could not even be started.
            self._pid, rest = 0, self._first
        else:
            self._pid = int(line)
        if rest:
            self._on_stdout(rest)
