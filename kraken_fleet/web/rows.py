"""Agents as rows of a table: their state in one word, searched, filtered, sorted and cut into pages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlencode

from kraken_fleet.model import Activity, Agent, HostNames, Resources, activity_of
from kraken_fleet.web.parameters import whole_number

PAGE_SIZES = (25, 100, 500)
SORTS = ("name", "address", "system", "groups", "state", "last_seen")


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody asked to see; travels in the URL, so that a view can be sent to a colleague."""

    text: str = ""
    group: str = ""
    system: str = ""
    executor: str = ""
    state: str = ""
    sort: str = "address"
    descending: bool = False
    page: int = 1
    size: int = 100

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Query:
        """Read a URL's parameters; an unknown word falls back to its default.

        Raises:
            BadParameterError: page or size is no number.
        """
        sort = params.get("sort", "address")
        return cls(
            text=params.get("q", "").strip()[:200],
            group=params.get("group", ""),
            system=params.get("system", ""),
            executor=params.get("executor", ""),
            state=params.get("state", ""),
            sort=sort if sort in SORTS else "address",
            descending=params.get("dir") == "desc",
            page=max(whole_number(params.get("page"), "page", 1), 1),
            size=min(max(whole_number(params.get("size"), "size", 100), 1), max(PAGE_SIZES)),
        )

    def link(self, **changes: object) -> str:
        """Return the query string of this view with some things changed.

        Any change but of the page begins at page 1.
        """
        values: dict[str, object] = {
            "q": self.text,
            "group": self.group,
            "system": self.system,
            "executor": self.executor,
            "state": self.state,
            "sort": self.sort,
            "dir": "desc" if self.descending else "",
            "size": self.size,
            "page": 1,
        }
        values.update(changes)
        defaults = {"sort": "address", "size": 100, "page": 1}
        return "?" + urlencode({k: v for k, v in values.items() if v and defaults.get(k) != v})


@dataclass(frozen=True, slots=True)
class Row:
    """One agent.

    Args:
        name: what it is called beside its address, by the inventory where that has it; empty when nothing else.
    """

    agent: Agent
    state: Activity
    name: str = ""

    @property
    def system(self) -> str:
        return self.agent.host_info.system if self.agent.host_info else ""

    @property
    def executors(self) -> dict[str, str]:
        return self.agent.host_info.executors if self.agent.host_info else {}

    @property
    def version(self) -> str:
        return self.agent.host_info.agent_version if self.agent.host_info else ""

    @property
    def resources(self) -> Resources:
        return self.agent.host_info.resources if self.agent.host_info else Resources()

    @property
    def isolation(self) -> str:
        return self.agent.host_info.isolation if self.agent.host_info else ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows, and what the filters could be set to."""

    rows: Sequence[Row]
    total: int
    pages: int
    query: Query
    choices: Mapping[str, Sequence[tuple[str, int]]]

    @property
    def left_out(self) -> frozenset[str]:
        """The columns that no agent in sight has anything for: Kraken's own agent says neither."""
        versions = any(row.version for row in self.rows)
        resources = any(row.resources != Resources() for row in self.rows)
        return frozenset([*([] if versions else ["Version"]), *([] if resources else ["Host", "Disk"])])

    @property
    def first(self) -> int:
        return (self.query.page - 1) * self.query.size + 1 if self.total else 0

    @property
    def last(self) -> int:
        return min(self.query.page * self.query.size, self.total)


def make_page(agents: Iterable[Agent], query: Query, now: datetime, names: HostNames | None = None) -> Page:
    """Search, filter, sort and cut the rows.

    Args:
        agents: every authorized agent of the server.
        query: what to show.
        now: the moment that "silent" is measured from, timezone-aware.
        names: of the inventory's hosts.
    """
    called = names or HostNames()
    every = [Row(agent, activity_of(agent, now), called.name(agent)) for agent in agents]
    shown = [row for row in every if _matches(row, query)]
    shown.sort(key=_SORT_KEYS[query.sort], reverse=query.descending)
    pages = max(-(-len(shown) // query.size), 1)
    page = min(query.page, pages)
    cut = shown[(page - 1) * query.size : page * query.size]
    return Page(cut, len(shown), pages, _on_page(query, page), _choices(every))


def _on_page(query: Query, page: int) -> Query:
    return query if page == query.page else Query.from_params({**_params(query), "page": str(page)})


def _params(query: Query) -> dict[str, str]:
    return {
        "q": query.text,
        "group": query.group,
        "system": query.system,
        "executor": query.executor,
        "state": query.state,
        "sort": query.sort,
        "dir": "desc" if query.descending else "",
        "size": str(query.size),
    }


def _matches(row: Row, query: Query) -> bool:
    if query.text and not _mentions(row, query.text.lower()):
        return False
    return (
        (not query.group or query.group in row.agent.group_names)
        and (not query.system or query.system == row.system)
        and (not query.executor or query.executor in row.executors)
        and (not query.state or query.state == row.state)
    )


def _mentions(row: Row, text: str) -> bool:
    agent = row.agent
    said = agent.disabling.said if agent.disabling else ""
    words = (agent.name, row.name, said, agent.address, agent.ip_address or "", row.system, *agent.group_names)
    return any(text in word.lower() for word in words)


@lru_cache(maxsize=65536)
def _address_key(address: str) -> tuple[object, ...]:
    # 10.0.0.9 before 10.0.0.10: numbers are compared as numbers.
    parts = address.split(".")
    return tuple((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts)


_SORT_KEYS: Mapping[str, Callable[[Row], tuple[object, ...]]] = {
    "name": lambda row: (not row.name, row.name, _address_key(row.agent.address)),
    "address": lambda row: _address_key(row.agent.address),
    "system": lambda row: (row.system, _address_key(row.agent.address)),
    "groups": lambda row: (tuple(sorted(row.agent.group_names)), _address_key(row.agent.address)),
    "state": lambda row: (row.state, _address_key(row.agent.address)),
    "last_seen": lambda row: (row.agent.last_seen.timestamp() if row.agent.last_seen else 0.0,),
}


def _choices(rows: Iterable[Row]) -> dict[str, list[tuple[str, int]]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("group", "system", "executor", "state")}
    for row in rows:
        counts["group"].update(row.agent.group_names)
        counts["executor"].update(row.executors.keys())
        counts["state"][row.state] += 1
        if row.system:
            counts["system"][row.system] += 1
    return {name: sorted(counter.items()) for name, counter in counts.items()}
