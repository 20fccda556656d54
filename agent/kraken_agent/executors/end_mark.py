"""Finds the end of a program in its output, where the connection itself does not end with the program."""

from __future__ import annotations

import os
from typing import Callable, List, Optional, Sequence

OnBytes = Callable[[bytes], None]

# A byte that text does not have begins the mark, so that only little output is ever held back to look for it.
_FIRST = b"\x1e"
_SCRIPT = '"$@"; code=$?; for stream in 1 2; do printf "\\036%s %d\\n" "$MARK" "$code" >&$stream; done'


class EndMark:
    """Lets a shell write `MARK CODE` after a program, into both its streams.

    Attributes:
        code: the program's exit code, as soon as one stream has brought it.
    """

    def __init__(self) -> None:
        self._name = os.urandom(8).hex()
        self.code: Optional[int] = None

    def around(self, argv: Sequence[str]) -> List[str]:
        """The command line that runs a program and marks its end."""
        return ["/bin/sh", "-c", _SCRIPT.replace("$MARK", self._name), "sh", *argv]

    def reader(self, on_bytes: OnBytes, on_end: Callable[[], None]) -> MarkReader:
        """What finds the mark in one stream."""

        def found(code: int) -> None:
            self.code = code
            on_end()

        return MarkReader(_FIRST + self._name.encode() + b" ", on_bytes, found)


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
            place = data.rfind(_FIRST)
            if place >= 0 and self._start.startswith(data[place:]):
                before, self._held = data[:place], data[place:]
        if before:
            self._on_bytes(before)
