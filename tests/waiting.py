"""Waiting for what a test means: real processes and servers share the machine with whatever else runs there.

The bounds are generous on purpose. They end a test that would hang; how fast something is, benchmarks measure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 100.0  # less than pytest's own limit for a test, so that the message says what was waited for
_LONGEST_PAUSE_SECONDS = 0.3


def eventually(read: Callable[[], T], wanted: Callable[[T], object] = bool, seconds: float = PATIENCE_SECONDS) -> T:
    """Read until it is as wanted, and give that reading.

    Raises:
        AssertionError: it never is; says what was read last.
    """
    deadline, pause = time.monotonic() + seconds, 0.02
    while not wanted(value := read()):
        assert time.monotonic() < deadline, f"It did not happen in {seconds:g} s: {str(value)[-2000:]}"
        time.sleep(pause)
        pause = min(1.3 * pause, _LONGEST_PAUSE_SECONDS)
    return value


def until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS, otherwise: str = "") -> None:
    """Wait for something to become so.

    Raises:
        AssertionError: it does not; says `otherwise`.
    """
    try:
        eventually(condition, seconds=seconds)
    except AssertionError:
        if otherwise:
            raise AssertionError(otherwise) from None
        raise
