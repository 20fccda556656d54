"""In which order agents can be taken out of service without an agents group losing too many of them at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from kraken_fleet.errors import UsageError
from kraken_fleet.model import DesiredAgent

# What a batch itself is full by, beside the agents groups: those have names.
_ITSELF = ""


def batches(
    agents: Iterable[DesiredAgent],
    sizes: Sequence[int | str],
    most_out: int | str,
    out_already: Mapping[str, int] | None = None,
    resting: Collection[DesiredAgent] = (),
) -> list[list[str]]:
    """Divide hosts into batches: each goes into the first one that has room for it and its agents.

    A batch has at least one host, and a group can always spare one: else some hosts would never have their turn.

    Args:
        agents: those of the hosts, whose order is kept.
        sizes: how many hosts the first batch may have, the second one, and so on; the last size holds for the rest.
        most_out: how many agents of a group may be in one batch; like the sizes, a number or a percentage ("50%").
        out_already: how many other agents of a group get no jobs now; they count as out.
        resting: those of the agents that get no jobs now; they count as out too, and a batch always has room for them.

    Raises:
        UsageError: a size is neither.
    """
    agents_of: dict[str, Counter[str]] = defaultdict(Counter)
    totals, out, asleep = Counter[str](), Counter(out_already or {}), {*resting}
    for agent in agents:
        totals.update(agent.groups)
        needed = agents_of[agent.host]
        (out if agent in asleep else needed).update(agent.groups)
    most = {group: max(1, share(most_out, total) - out[group]) for group, total in totals.items()}
    room = [share(size, len(agents_of)) for size in sizes]
    made = _Batches(room, most)
    for host, groups in agents_of.items():
        made.add(host, groups)
    return made.hosts


class _Batches:
    """Batches while they are filled.

    Args:
        room: how many hosts each may have; the last number holds for the rest.
        most: by group, how many of its agents one batch may have.
    """

    def __init__(self, room: Sequence[int], most: Mapping[str, int]) -> None:
        self.hosts: list[list[str]] = []
        self._room = room
        self._most = most
        self._out: list[Counter[str]] = []
        # Batches before this one are full, for a group or for all: without it each host would ask all of them.
        self._first: Counter[str] = Counter()

    def add(self, host: str, needed: Counter[str]) -> None:
        """Put a host into the first batch that has room for it and for so many agents of its groups."""
        number = max(self._first[group] for group in (_ITSELF, *needed))
        while number < len(self.hosts) and not self._fits(number, needed):
            number += 1
        if number == len(self.hosts):
            self.hosts.append([])
            self._out.append(Counter())
        self.hosts[number].append(host)
        self._out[number] += needed
        for group in (_ITSELF, *needed):
            while self._first[group] < len(self.hosts) and self._is_full(self._first[group], group):
                self._first[group] += 1

    def _is_full(self, number: int, group: str) -> bool:
        if group == _ITSELF:
            return len(self.hosts[number]) >= self._room[min(number, len(self._room) - 1)]
        return self._out[number][group] >= self._most[group]

    def _fits(self, number: int, needed: Counter[str]) -> bool:
        out = self._out[number]
        # A host whose instances are more than a group may lack fits nowhere, so it may be the only one of its group in
        # a batch.
        few = (not out[group] or out[group] + count <= self._most[group] for group, count in needed.items())
        return not self._is_full(number, _ITSELF) and all(few)


def share(wanted: int | str, total: int) -> int:
    """Read a number, or a percentage of a total rounded down, as Ansible's `serial` has it; at least one.

    Raises:
        UsageError: it is neither.
    """
    text = str(wanted).strip()
    digits = text.removesuffix("%")
    if not digits.isascii() or not digits.isdigit() or int(digits) == 0:
        raise UsageError(f"{wanted!r} is no number of hosts or agents", hint='Write a number such as 5, or "25%"')
    return max(1, total * int(digits) // 100 if text.endswith("%") else int(digits))
