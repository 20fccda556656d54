"""Finding deleted agents groups, which no list shows: only asking for their ids does."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kraken_fleet.api import decode
from kraken_fleet.api.session import Session
from kraken_fleet.errors import RequestRejectedError

# So many ids in a row that no group has mean that there are no groups beyond. Failed creations leave gaps.
_GAP = 5


class DeletedGroups:
    """The deleted groups of a server. Those that were seen once are remembered: their names change no more."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[int, str | None] = {}  # None: no group has this id, nor will one ever

    def called(self, name: str, alive: Collection[int], *, newest: int | None, max_calls: int) -> Iterator[int]:
        """The ids of deleted groups called `name`, newest first.

        Args:
            alive: the ids of all living groups.
            newest: the highest id that any group has; None looks beyond the living ones.
            max_calls: how many ids are asked for at most.
        """
        last = max(alive, default=0) if newest is None else newest
        beyond = self._beyond(last, max_calls) if newest is None else []
        yield from (group_id for group_id in reversed(beyond) if self._names.get(group_id) == name)
        calls = max_calls - len(beyond)
        for group_id in range(last, 0, -1):
            if group_id in alive:
                continue
            if group_id not in self._names and calls > 0:
                calls -= 1
                self._ask(group_id, below=last)
            if self._names.get(group_id) == name:
                yield group_id

    def remember(self, group_id: int, name: str) -> None:
        """Notes the name that a deleted group has from now on."""
        self._names[group_id] = name

    def _beyond(self, last: int, max_calls: int) -> list[int]:
        """The ids above `last` that were asked for: deleted groups may be newer than every living one."""
        asked: list[int] = []
        missing = 0
        while missing < _GAP and len(asked) < max_calls:
            asked.append(last + len(asked) + 1)
            found = asked[-1] in self._names or self._ask(asked[-1], below=last)
            missing = 0 if found else missing + 1
        return asked

    def _ask(self, group_id: int, *, below: int) -> bool:
        """Whether there is such a group. An id above `below` may be given out later, so its absence is not kept."""
        try:
            group = self._session.request("GET", f"/groups/{group_id}").decoded(decode.group)
        except RequestRejectedError:
            if group_id < below:
                self._names[group_id] = None
            return False
        if group.deleted is not None:  # else it was created since the list was read
            self._names[group_id] = group.name
        return True
