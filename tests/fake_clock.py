"""A clock for tests that must not wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class FakeClock:
    """Time passes only by sleeping, or when a test sets `time`; `steps` happen one at each sleep."""

    time: float = 0.0
    steps: list[Callable[[], object]] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        if self.steps:
            self.steps.pop(0)()
