"""Which faults come when: drawn from a seed, so that a run can be had again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What goes wrong."""

    SERVER_KILLED = "the server is killed"
    SERVER_ENDED = "the server is ended and started again"
    SERVER_DISK = "the server's disk is full"
    AGENT_KILLED = "an agent is killed"
    SIMULATED_KILLED = "simulated agents are killed"
    NETWORK = "the network is cut"
    DISK = "an agent's disk is full"
    CLOCK = "an agent's clock is stepped"


# More of what is met every day.
_WEIGHTS = {
    Kind.SERVER_KILLED: 2,
    Kind.SERVER_ENDED: 1,
    Kind.SERVER_DISK: 1,
    Kind.AGENT_KILLED: 3,
    Kind.SIMULATED_KILLED: 3,
    Kind.NETWORK: 4,
    Kind.DISK: 2,
    Kind.CLOCK: 2,
}
OF_SERVER = (Kind.SERVER_KILLED, Kind.SERVER_ENDED)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        at: seconds from the beginning.
        seconds: how long it lasts.
        choice: chooses whom it hits.
    """

    at: float
    kind: Kind
    seconds: float
    choice: random.Random

    @property
    def said(self) -> str:
        """It, for the screen."""
        return f"{self.kind}, for {self.seconds:.1f} s"


def planned(seed: int, seconds: float, pause: float, kinds: Sequence[Kind], calm: float) -> Iterator[Fault]:
    """Draw the faults of a run; each kind comes at least once, as far as there is time.

    Args:
        seconds: how long faults begin.
        pause: seconds between two, on average.
        kinds: those that this machine can have.
        calm: from this moment on the server is left alone, so that what it holds can be compared.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    first = chance.sample(list(kinds), len(kinds))
    first.sort(key=lambda kind: kind not in OF_SERVER)
    at = 0.0
    while (at := at + chance.uniform(0.5, 1.5) * pause) < seconds:
        allowed = [kind for kind in kinds if at < calm or kind not in OF_SERVER]
        kind = first.pop(0) if first else chance.choices(allowed, [_WEIGHTS[kind] for kind in allowed])[0]
        if kind in allowed:
            yield Fault(at, kind, chance.uniform(1.0, 12.0), random.Random(chance.random()))  # noqa: S311
