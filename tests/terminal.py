"""Programs on a terminal of their own, for tests of what is drawn there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(command: Sequence[str | Path], environment: Mapping[str, str], *, typed: str = "") -> tuple[int, str]:
    """Run a command on a terminal; its exit code and all that it drew there, without colours and movements.

    Args:
        typed: what a person types at the first prompt, which ends with a colon.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    environment = {**environment, "TERM": "xterm"}
    with subprocess.Popen(command, env=environment, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        drawn = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody has it open any more
            while piece := os.read(ours, 65536):
                drawn += piece
                if typed and drawn.endswith(b": "):
                    os.write(ours, typed.encode())
                    typed = ""
        os.close(ours)
        return process.wait(), _CONTROL.sub("", drawn.decode())
