"""Runs programs in LXD containers: the daemon gives each of their streams a websocket.

pylxd has a call for this, but it closes the sockets as soon as the program has ended, with output still on its way.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Callable, List, Optional, Sequence, Tuple

from kraken_agent.executors.base import ExecutorError
from kraken_agent.executors.container.programs import OnBytes, Program
from kraken_agent.executors.lxd.daemon import ask, finish, socket_path

try:
    from ws4py.client.threadedclient import WebSocketClient
    from ws4py.exc import WebSocketException
except ImportError:
    # pylxd brings it. Without, there are no LXD jobs, and this file is only looked at, to see whether it is whole.
    WebSocketClient, WebSocketException = object, OSError

_CHUNK = 32 * 1024
_WAIT_SECONDS = 10
# LXD itself runs a program somewhere else when its directory is not there.
_IN_DIRECTORY = 'cd -- "$0" && exec "$@"'
# A byte that text does not have begins the mark, so that only little output is ever held back to look for it.
_MARK_BYTE = b"\x1e"
_MARK_SCRIPT = '"$@"; code=$?; for stream in 1 2; do printf "\\036%s %d\\n" "$MARK" "$code" >&$stream; done'


def run(container: str, program: Program, uid: int) -> int:
    """Run a program to its end.

    LXD ends a stream only when the last process that holds it is gone. So that a daemon left by the program is not
    waited for, the program's end is marked in its output.

    Args:
        container: its name.
        program: what to run; its `user` is not looked at.
        uid: the user's number.

    Returns:
        The exit code.

    Raises:
        ExecutorError: it could not be run.
    """
    try:
        return _run(container, program, uid)
    except (OSError, WebSocketException) as error:
        raise ExecutorError(f"cannot run {program.argv[0]} in {container}: {error}") from error


def _run(container: str, program: Program, uid: int) -> int:
    mark = EndMark()
    wanted = {
        "command": mark.around(["/bin/sh", "-c", _IN_DIRECTORY, program.cwd, *program.argv]),
        "environment": dict(program.env),
        "cwd": "/",
        "user": uid,
        "group": uid,
        "interactive": False,
        # The program starts only when all streams are connected, so none of its output is lost.
        "wait-for-websocket": True,
    }
    operation = ask("POST", f"/1.0/containers/{container}/exec", wanted)
    place = f"/1.0/operations/{operation['id']}"
    secrets = operation["metadata"]["fds"]
    stdin = _Stream(f"{place}/websocket?secret={secrets['0']}", mark, _ignore)
    outputs = [
        _Stream(f"{place}/websocket?secret={secrets[name]}", mark, take)
        for name, take in (("1", program.on_stdout), ("2", program.on_stderr))
    ]
    streams = [stdin, *outputs]
    try:
        for each in streams:
            each.connect()
        _feed(stdin, program.stdin)
        for each in outputs:
            each.ended.wait()
    finally:
        for each in streams:
            _close(each)
    if mark.code is not None:
        return mark.code
    return int(finish(operation, _WAIT_SECONDS)["metadata"]["return"])


def _feed(stream: WebSocketClient, data: bytes) -> None:
    # A program that does not want all of its input may be gone before that has come; ws4py then says RuntimeError.
    with contextlib.suppress(BrokenPipeError, RuntimeError):
        for start in range(0, len(data), _CHUNK):
            stream.send(data[start : start + _CHUNK], binary=True)
        # An empty text message is how LXD is told that the input has ended.
        stream.send(b"", binary=False)


def _close(stream: WebSocketClient) -> None:
    # LXD may close it at the same moment. To ws4py it is then terminated (RuntimeError), or half-way so: its parser is
    # gone (AttributeError).
    with contextlib.suppress(OSError, WebSocketException, RuntimeError, AttributeError):
        stream.close()


class _Stream(WebSocketClient):  # type: ignore[misc]  # ws4py has no types
    """One stream of a program, read in a thread.

    Attributes:
        ended: set when all of the program's own output has come.
    """

    def __init__(self, resource: str, mark: EndMark, on_bytes: OnBytes) -> None:
        super().__init__(f"ws+unix://{socket_path()}")
        self.resource = resource
        self.ended = threading.Event()
        self._reader = mark.reader(on_bytes, self.ended.set)

    @property
    def handshake_headers(self) -> List[Tuple[str, str]]:
        """Without the origin, which LXD compares with a name that a socket does not have."""
        return [(name, value) for name, value in super().handshake_headers if name.lower() != "origin"]

    def received_message(self, message: Any) -> None:
        """Take output; an empty message is the end of the stream."""
        if message.data:
            self._reader.feed(message.data)
        else:
            self.ended.set()

    def unhandled_error(self, error: BaseException) -> None:
        """LXD may cut a stream off instead of closing it; ws4py would say so in the log of the step."""

    def closed(self, code: int, reason: Any = None) -> None:
        """Note that the daemon has closed the stream."""
        self.ended.set()


def _ignore(data: bytes) -> None:
    """Ignore it: nothing comes from the input."""


class EndMark:
    """Lets a shell write `MARK CODE` after a program, into both its streams.

    Attributes:
        code: the program's exit code, as soon as one stream has brought it.
    """

    def __init__(self) -> None:
        self._name = os.urandom(8).hex()
        self.code: Optional[int] = None

    def around(self, argv: Sequence[str]) -> List[str]:
        """Return the command line that runs a program and marks its end."""
        return ["/bin/sh", "-c", _MARK_SCRIPT.replace("$MARK", self._name), "sh", *argv]

    def reader(self, on_bytes: OnBytes, on_end: Callable[[], None]) -> MarkReader:
        """Return what finds the mark in one stream."""

        def found(code: int) -> None:
            self.code = code
            on_end()

        return MarkReader(_MARK_BYTE + self._name.encode() + b" ", on_bytes, found)


class MarkReader:
    """Takes the mark out of a stream.

    Args:
        start: how the mark begins.
        on_bytes: takes the program's own output, and then that of daemons which it has left.
        on_mark: takes the exit code.
    """

    def __init__(self, start: bytes, on_bytes: OnBytes, on_mark: Callable[[int], None]) -> None:
        self._start = start
        self._on_bytes = on_bytes
        self._on_mark = on_mark
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Take output; what may be the beginning of the mark waits for more."""
        data, self._held = self._held + data, b""
        before, start, after = data.partition(self._start)
        if start and b"\n" in after:
            code, _, rest = after.partition(b"\n")
            if before:
                self._on_bytes(before)
            self._on_mark(int(code))
            if rest:
                self._on_bytes(rest)
            return
        if start:
            self._held = start + after
        else:
            place = data.rfind(_MARK_BYTE)
            if place >= 0 and self._start.startswith(data[place:]):
                before, self._held = data[:place], data[place:]
        if before:
            self._on_bytes(before)
