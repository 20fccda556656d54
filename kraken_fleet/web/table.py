"""All agents as rows, made once for a view of the server, so that a page costs little more than its own rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property

from kraken_fleet.model import Agent, HostNames
from kraken_fleet.web.cache import Snapshot
from kraken_fleet.web.rows import SORT_KEYS, Page, Query, Row

# No field of an agent has this in it, and no search.
_BETWEEN = "\0"


class Table:
    """The rows of one view of the server, in each order that somebody has asked for.

    Args:
        agents: every authorized agent of the server.
        now: the moment that "silent" is measured from, timezone-aware.
        names: of the inventory's hosts.
    """

    def __init__(self, agents: Iterable[Agent], now: datetime, names: HostNames | None = None) -> None:
        self._rows = [Row.of(agent, now, names or HostNames()) for agent in agents]
        self._orders: dict[tuple[str, bool], list[Row]] = {}
        self._texts: dict[int, str] = {}

    def page(self, query: Query) -> Page:
        """Search, filter, sort and cut the rows."""
        shown = [row for row in self._ordered(query) if self._matches(row, query)]
        pages = max(-(-len(shown) // query.size), 1)
        page = min(query.page, pages)
        cut = shown[(page - 1) * query.size : page * query.size]
        return Page(cut, len(shown), pages, query.at(page), self._choices)

    def _ordered(self, query: Query) -> list[Row]:
        order = query.sort, query.descending
        if order not in self._orders:
            self._orders[order] = sorted(self._rows, key=SORT_KEYS[query.sort], reverse=query.descending)
        return self._orders[order]

    def _matches(self, row: Row, query: Query) -> bool:
        return (
            (not query.text or query.text.lower() in self._text(row))
            and (not query.group or query.group in row.groups)
            and (not query.system or query.system == row.system)
            and (not query.executor or query.executor in row.executors)
            and (not query.state or query.state == row.state)
        )

    def _text(self, row: Row) -> str:
        """Return all that a search looks into, in small letters."""
        agent = row.agent
        if agent.id not in self._texts:
            said = agent.disabling.said if agent.disabling else ""
            words = (agent.name, row.name, said, agent.address, agent.ip_address or "", row.system, *row.groups)
            self._texts[agent.id] = _BETWEEN.join(words).lower()
        return self._texts[agent.id]

    @cached_property
    def _choices(self) -> Mapping[str, list[tuple[str, int]]]:
        """What the filters could be set to, with the number of agents."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in ("group", "system", "executor", "state")}
        for row in self._rows:
            counts["group"].update(row.groups)
            counts["executor"].update(row.executors.keys())
            counts["state"][row.state] += 1
            if row.system:
                counts["system"][row.system] += 1
        return {name: sorted(counter.items()) for name, counter in counts.items()}


class LastTable:
    """The table of the newest view, which all pages share until there is a newer one."""

    def __init__(self) -> None:
        self._kept: tuple[Snapshot, HostNames, Table] | None = None

    def of(self, snapshot: Snapshot, names: HostNames) -> Table:
        """Return the table of a view. An agent that had been silent for a minute when the view was taken is silent."""
        kept = self._kept
        if kept is None or kept[0] is not snapshot or kept[1] is not names:
            kept = self._kept = snapshot, names, Table(snapshot.agents, snapshot.taken, names)
        return kept[2]
