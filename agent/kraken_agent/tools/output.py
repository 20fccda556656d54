"""What a tool says to people: lines on its standard output, which the agent sends on as the job's log."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write one line of log, at once: a line kept in a buffer is a line late in the job's log."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()
