"""How long to wait before trying again."""

from __future__ import annotations

import random

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


class Backoff:
    """Pauses that grow and are never the same on two agents."""

    def __init__(self) -> None:
        self._next = _FIRST_PAUSE

    def pause(self) -> float:
        """Return how many seconds to wait before trying again."""
        self._next, pause = min(_LONGEST_PAUSE, self._next * 2), self._next
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load, it keeps no secret

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._next = _FIRST_PAUSE
