"""What runs slices: the interface, and what a slice is to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from kraken_fleet import __version__
from kraken_fleet.scale.events import SliceEvent


@dataclass(frozen=True, slots=True)
class Slice:
    """Hosts that one ansible-playbook deploys. It holds no secret: it travels, and workers write it into files.

    Args:
        number: 1 for the first one.
        inventory: the hosts with their variables, as a YAML inventory has them.
        options: of ansible-playbook.
        version: of the library that made it; a worker has to have the same one.
    """

    number: int
    inventory: Mapping[str, Any] = field(hash=False)
    options: tuple[str, ...] = ()
    version: str = __version__

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.inventory["all"]["hosts"])

    def to_json(self) -> str:
        """Return the text that a worker gets."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Slice:
        """Read such a text."""
        data = json.loads(text)
        return cls(data["number"], data["inventory"], tuple(data["options"]), data["version"])


class Runner(Protocol):
    """Runs slices somewhere. `LocalRunner` and `DaskRunner` do; one over SSH or Receptor would be another."""

    @property
    def begun(self) -> Collection[int]:
        """The numbers of the slices of the last run that may have been begun, also when nobody was told of it."""

    def run(self, slices: Sequence[Slice]) -> Generator[SliceEvent, None, None]:
        """Run the slices, several at a time; yield what happens, with one SliceEnded for each of them.

        What becomes of a slice whose worker is lost is up to the runner: it is safe to run it again, also while the
        first ansible-playbook still works, since on a host one deploy waits for another. When this is closed, nothing
        is begun any more.

        Raises:
            FleetError: there is nothing to run them with.
        """
