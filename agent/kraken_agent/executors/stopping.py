"""Lets the child that runs a step hear SIGTERM between two looks at its work, instead of dying of it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Optional, Type


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
