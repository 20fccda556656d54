"""What really ran: each beginning and end of a step, written down where it happened and not by the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Step = tuple[int, int]


@dataclass
class Ledger:
    """Beginnings and ends of steps, by job and number.

    Args:
        path: where the steps of real agents write theirs.

    Attributes:
        killed: steps that were going on when their agent was killed: these may begin once more.
    """

    path: Path
    began: Counter[Step] = field(default_factory=Counter)
    ended: Counter[Step] = field(default_factory=Counter)
    killed: set[Step] = field(default_factory=set)

    def command(self, number: int, seconds: float) -> str:
        """The shell command of a step that writes down when it begins and ends, with its directory."""
        said = f'"$PWD" {number} >>{self.path}'
        return f"echo began {said}; sleep {seconds:.2f}; echo ended {said}"

    def read(self) -> None:
        """Take in what steps of real agents have written."""
        for word, directory, number in self._lines():
            (self.began if word == "began" else self.ended)[_step(directory, number)] += 1

    def going_on(self, host: str) -> set[Step]:
        """The steps of a real agent that have begun and not ended by now."""
        open_ones = Counter[Step]()
        for word, directory, number in self._lines():
            if host in directory.split("/"):
                open_ones[_step(directory, number)] += 1 if word == "began" else -1
        return {step for step, count in open_ones.items() if count > 0}

    def twice(self) -> list[Step]:
        """Steps that came to their end more than once."""
        return sorted(step for step, count in self.ended.items() if count > 1)

    def never(self, wanted: Iterable[Step]) -> list[Step]:
        """Those of these steps that never came to their end."""
        return sorted(step for step in wanted if not self.ended[step])

    def _lines(self) -> list[list[str]]:
        found = (line.split() for line in self.path.read_text().splitlines())
        return [words for words in found if len(words) == 3]


def _step(directory: str, number: str) -> Step:
    return int(directory.rpartition("/")[2]), int(number)
