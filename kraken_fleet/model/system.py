"""A system: what a job asks its host to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class System:
    """A system name known to the server, with the executor that provides it (`local`, `docker` or `lxd`)."""

    id: int
    name: str
    executor: str
