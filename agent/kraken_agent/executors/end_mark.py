"""Finds the end of a program in its output, where the connection itself does not end with the program."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, List, Optional, Sequence

# A byte that text does not have begins the mark, so that only little output is ever held back to look for it.
_FIRST = b"\x1e"
_SCRIPT = '"$@"; printf "\\036%s %d\\n" "$MARK" "$?"'
_SPARE_SECONDS = 1.0


class EndMark:
    """Lets a shell write `MARK CODE` after a program, and takes that out of the output again.

    Args:
        on_bytes: takes the program's own output.
    """

    def __init__(self, on_bytes: Callable[[bytes], None]) -> None:
        self._on_bytes = on_bytes
        self._name = os.urandom(8).hex()
        self._start = _FIRST + self._name.encode() + b" "
        self._held = b""
        self.code: Optional[int] = None
        self.seen = threading.Event()

    def around(self, argv: Sequence[str]) -> List[str]:
        """The command line that runs a program and marks its end."""
        return ["/bin/sh", "-c", _SCRIPT.replace("$MARK", self._name), "sh", *argv]

    def feed(self, data: bytes) -> None:
        """Take output; what may be the beginning of the mark waits for more."""
        data, self._held = self._held + data, b""
        before, start, after = data.partition(self._start)
        if start and b"\n" in after:
            code, _, rest = after.partition(b"\n")
            self.code = int(code)
            # What a daemon that the program left has still to say.
            before += rest
            self.seen.set()
        elif start:
            self._held = start + after
        else:
            place = data.rfind(_FIRST)
            if place >= 0 and self._start.startswith(data[place:]):
                before, self._held = data[:place], data[place:]
        if before:
            self._on_bytes(before)


class Waiting:
    """Calls something that may never return, in a thread, and waits for it or for a mark.

    Args:
        call: what to call.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._error: Optional[BaseException] = None
        self._ended = threading.Event()

    def until(self, mark: EndMark) -> Any:
        """What the call returned; None when the mark came and the call has not returned soon after.

        Raises:
            BaseException: what the call raised.
        """
        threading.Thread(target=self._run, args=(mark,), daemon=True).start()
        mark.seen.wait()
        self._ended.wait(_SPARE_SECONDS)
        if self._error is not None and mark.code is None:
            raise self._error
        return self._result

    def _run(self, mark: EndMark) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            self._error = error
        finally:
            self._ended.set()
            mark.seen.set()
