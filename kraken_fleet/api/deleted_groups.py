"""Finding deleted agents groups, which no list shows: only asking for their ids does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from kraken_fleet.api import decode
from kraken_fleet.api.session import MAX_CONNECTIONS, Session
from kraken_fleet.errors import RequestRejectedError
from kraken_fleet.model import AgentsGroup

# So many ids in a row that no group has mean that there are no groups beyond. Failed creations leave gaps.
_GAP = 5

# By id: a deleted group, or None when no group has the id nor ever will.
KnownGroups = Mapping[int, AgentsGroup | None]


class DeletedGroups:
    """The deleted groups of a server. Those that were seen once are remembered: they stay what they are.

    Only their names may change, when somebody heals them. So those that have a name that matters are asked for again.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[int, AgentsGroup | None] = {}

    @property
    def known(self) -> KnownGroups:
        return dict(self._known)

    def add_known(self, known: KnownGroups) -> None:
        """Take over what an earlier client of the same server has found out."""
        self._known = {**known, **self._known}

    def remember(self, group: AgentsGroup) -> None:
        """Note a deleted group as it is now."""
        self._known[group.id] = group

    def found(
        self, living: Iterable[AgentsGroup], *, listed: Iterable[int] = (), names: Iterable[str] = (), max_calls: int
    ) -> tuple[AgentsGroup, ...]:
        """Return all deleted groups, the oldest first.

        Args:
            living: all groups that are alive.
            listed: more ids that some group has; an agent goes on listing a group that was deleted.
            names: names that matter besides those of living groups.
            max_calls: how many unknown ids are asked for at most, the newest first.
        """
        alive = {group.id: group.name for group in living}
        newest = max(alive.keys() | set(listed) | self._known.keys(), default=0)
        doubtful = self._called({*alive.values(), *names})
        left = max_calls - self._look_beyond(newest, max_calls)
        # Ids come from one sequence that begins with 1, so every deleted group is among the numbers that no living one
        # has.
        unknown = [number for number in range(newest, 0, -1) if number not in alive and number not in self._known]
        self._ask([*doubtful, *unknown[: max(left, 0)]], below=newest)
        return tuple(group for number, group in sorted(self._known.items()) if group and number not in alive)

    def _look_beyond(self, newest: int, max_calls: int) -> int:
        """Ask for ids above `newest`, for deleted groups may be newer than every other.

        Return how many were asked for.
        """
        asked = 0
        while asked < max_calls:
            numbers = range(newest + 1, newest + 1 + min(_GAP, max_calls - asked))
            there = self._ask(numbers, below=newest)
            asked += len(numbers)
            if not there:
                break
            newest = max(there)
        return asked

    def _called(self, names: Collection[str]) -> list[int]:
        return [number for number, group in self._known.items() if group and group.name in names]

    def _ask(self, numbers: Sequence[int], *, below: int) -> list[int]:
        """Ask for each id, and remember what is sure: which of them some group has.

        An id above `below` may be given out later, so its absence is not remembered.
        """
        if not numbers:
            return []
        with ThreadPoolExecutor(max_workers=MAX_CONNECTIONS) as pool:
            groups = list(pool.map(self._group, numbers))
        for number, group in zip(numbers, groups, strict=True):
            if group and group.deleted:  # else it was created since the list was read
                self.remember(group)
            elif group is None and number < below:
                self._known[number] = None
        return [group.id for group in groups if group]

    def _group(self, number: int) -> AgentsGroup | None:
        try:
            return self._session.request("GET", f"/groups/{number}").decoded(decode.group)
        except RequestRejectedError:
            return None
