"""Counts what was refused, with one line in the log however often it happens: an unknown client must not fill it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

# So long each kind of refusal is silent about one peer after it was logged.
_QUIET_SECONDS = 60.0
_MAX_KEYS = 1_000
_MAX_LINES_A_MINUTE = 60
_MAX_TEXT = 300


class Refusals:
    """Writes refusals down: for each kind and peer once a minute, and at most a line a second in all.

    Args:
        log: where to.
        clock: monotonic seconds, for tests.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._minute = 0.0
        self._lines = 0
        # Kinds are written in the code, so there are few.
        self.counts: Counter[str] = Counter()

    def note(self, kind: str, peer: str | None, text: str) -> None:
        """Count a refusal, and log it, unless that was just done.

        Args:
            kind: the limit's name or another word for the reason.
            peer: who was refused.
            text: what happened, in a sentence. Of what clients wrote only printable characters are kept.
        """
        self.counts[kind] += 1
        moment, key = self._clock(), (kind, peer or "")
        if moment - self._told.get(key, float("-inf")) < _QUIET_SECONDS or not self._room(moment):
            return
        if len(self._told) >= _MAX_KEYS:
            # Forgetting all of them costs one more line for each at most, and the lines of a minute are counted anyway.
            self._told.clear()
        self._told[key] = moment
        self._log.warning("Refused (%s): %s", kind, printable(text))

    def _room(self, moment: float) -> bool:
        if moment - self._minute >= _QUIET_SECONDS:
            self._minute, self._lines = moment, 0
        self._lines += 1
        return self._lines <= _MAX_LINES_A_MINUTE


def printable(text: str) -> str:
    """Return the text on one line, without characters that would steer a terminal, and no longer than a few lines."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_TEXT])
