"""An agent as a row, and what somebody asked to see of all rows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
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
            # NUL stands between the texts of a row that are searched; see table.py.
            text=params.get("q", "").replace("\0", "").strip()[:200],
            group=params.get("group", ""),
            system=params.get("system", ""),
            executor=params.get("executor", ""),
            state=params.get("state", ""),
            sort=sort if sort in SORTS else "address",
            descending=params.get("dir") == "desc",
            page=max(whole_number(params.get("page"), "page", 1), 1),
            size=min(max(whole_number(params.get("size"), "size", 100), 1), max(PAGE_SIZES)),
        )

    def at(self, page: int) -> Query:
        """Return the same view at another page."""
        return self if page == self.page else replace(self, page=page)

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
        groups: the names of its agents groups, made out once.
    """

    agent: Agent
    state: Activity
    name: str
    groups: frozenset[str]

    @classmethod
    def of(cls, agent: Agent, now: datetime, names: HostNames) -> Row:
        """Return the row of an agent.

        Args:
            now: the moment that "silent" is measured from, timezone-aware.
            names: of the inventory's hosts.
        """
        return cls(agent, activity_of(agent, now), names.name(agent), agent.group_names)

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


@dataclass(frozen=True)
class Page:
    """One page of rows, and what the filters could be set to."""

    rows: Sequence[Row]
    total: int
    pages: int
    query: Query
    choices: Mapping[str, Sequence[tuple[str, int]]]

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The columns that no agent in sight has anything for: Kraken's own agent says neither."""
        # Kept, for the template asks once for each row, and each time every row would be looked at.
        versions = any(row.version for row in self.rows)
        resources = any(row.resources != Resources() for row in self.rows)
        return frozenset([*([] if versions else ["Version"]), *([] if resources else ["Host", "Disk"])])

    @property
    def first(self) -> int:
        return (self.query.page - 1) * self.query.size + 1 if self.total else 0

    @property
    def last(self) -> int:
        return min(self.query.page * self.query.size, self.total)


@lru_cache(maxsize=65536)
def _address_key(address: str) -> tuple[object, ...]:
    # 10.0.0.9 before 10.0.0.10: numbers are compared as numbers.
    parts = address.split(".")
    return tuple((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts)


SORT_KEYS: Mapping[str, Callable[[Row], tuple[object, ...]]] = {
    "name": lambda row: (not row.name, row.name, _address_key(row.agent.address)),
    "address": lambda row: _address_key(row.agent.address),
    "system": lambda row: (row.system, _address_key(row.agent.address)),
    "groups": lambda row: (tuple(sorted(row.groups)), _address_key(row.agent.address)),
    "state": lambda row: (row.state, _address_key(row.agent.address)),
    "last_seen": lambda row: (row.agent.last_seen.timestamp() if row.agent.last_seen else 0.0,),
}
