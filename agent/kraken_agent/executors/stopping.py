"""Signals in the child that runs a step: SIGTERM is heard between two looks at the work, SIGPIPE is only an error."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Optional, Type


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
        self._before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _hear(self, number: int, frame: Optional[FrameType]) -> None:
        self._asked = True
