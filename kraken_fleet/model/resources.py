"""What the host of an agent has, as the agent says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# More than any host has: such a number is no measurement.
_MOST_CPUS = 1 << 20
_MOST_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class Resources:
    """What a host has. None is what the agent did not say: Kraken's own agent says nothing of these.

    Args:
        cpus: processors that the agent may use.
        memory: bytes of memory that the agent may use.
        disk: bytes of the disk on which the agent keeps its jobs.
        disk_free: bytes of it that were free when the agent introduced itself, or when that had last changed much.
    """

    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    disk_free: int | None = None

    @classmethod
    def parse(cls, said: object) -> Resources:
        """Read an agent's words: whatever is no sensible number was not said."""
        if not isinstance(said, Mapping):
            return cls()
        disk, free = (_number(said.get(name), _MOST_BYTES) for name in ("disk", "disk_free"))
        return cls(
            cpus=_number(said.get("cpus"), _MOST_CPUS),
            memory=_number(said.get("memory"), _MOST_BYTES),
            disk=disk,
            disk_free=free if free is None or disk is None else min(free, disk),
        )

    @property
    def disk_used(self) -> float | None:
        """The part of the disk that cannot be written any more, from 0 to 1; None when it is not known."""
        if not self.disk or self.disk_free is None:
            return None
        return 1 - self.disk_free / self.disk


def _number(value: object, most: int) -> int | None:
    # In Python True and False are whole numbers, too.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        return None
    return value
