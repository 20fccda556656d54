"""One view of the server for everybody who looks: refreshed when it is old, never by two at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Activity, Agent, AgentsGroup, activity_of, is_own_group


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server at one moment. `version` grows with every change that a person would want to see.

    `counts` says how many authorized agents were in each state.
    """

    version: int
    taken: datetime
    agents: tuple[Agent, ...] = ()
    discovered: tuple[Agent, ...] = ()
    groups: tuple[AgentsGroup, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def age_seconds(self) -> float:
        return (datetime.now(UTC) - self.taken).total_seconds()

    @property
    def everybody(self) -> tuple[Agent, ...]:
        return (*self.agents, *self.discovered)

    def agent(self, agent_id: int) -> Agent | None:
        return next((agent for agent in self.everybody if agent.id == agent_id), None)


# A server with ten thousand agents needs seconds to list them: never ask it for more than this part of its time.
_SHARE = 4
# Nobody waits for an answer that takes longer than this, as long as the view before is no older than that.
_QUICK_SECONDS = 0.25
_PRESENTABLE_SECONDS = 60.0


class FleetCache:
    """Keeps the last snapshot.

    Args:
        max_age: seconds after which the server is asked again; longer when its answer takes long. 0 asks each time.
        on_snapshot: told of every fresh snapshot, for the history.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        max_age: float,
        on_snapshot: Callable[[Snapshot], None] = lambda _snapshot: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_age = max_age
        self._on_snapshot = on_snapshot
        self._clock = clock
        self._lock = threading.Lock()
        self._taken_at = float("-inf")
        self._took = 0.0
        self._digest: int | None = None
        self._snapshot = Snapshot(0, datetime.fromtimestamp(0, UTC))

    def get(self, client: KrakenClient) -> Snapshot:
        """Return the newest view; ask the server with this client when the last one is too old.

        While somebody else is asking, the view before is good enough, unless something has been changed since. It also
        is while this call has the server asked in the background, because the answer takes long.
        """
        if not self._lock.acquire(blocking=self._taken_at == float("-inf")):
            return self._snapshot
        release = self._lock.release
        try:
            age = self._clock() - self._taken_at
            if age > max(self._max_age, _SHARE * self._took):
                if self._max_age and self._took > _QUICK_SECONDS and age < _PRESENTABLE_SECONDS:
                    threading.Thread(target=self._refresh_later, args=(client,), name="fleet view", daemon=True).start()
                    release = _nothing  # that thread does it
                else:
                    self._refresh(client)
            return self._snapshot
        finally:
            release()

    def _refresh_later(self, client: KrakenClient) -> None:
        """Ask the server, and unlock the view. After an error the next look asks, and tells of it."""
        try:
            self._refresh(client)
        except FleetError:
            self._taken_at = float("-inf")
        finally:
            self._lock.release()

    @property
    def last(self) -> Snapshot:
        """The newest view that there is, however old; without agents before the first look."""
        return self._snapshot

    def forget(self) -> None:
        """Forget the view after a change: the next look asks the server."""
        with self._lock:
            self._taken_at = float("-inf")

    def _refresh(self, client: KrakenClient) -> None:
        started = self._clock()
        agents, discovered = client.agents(), client.agents(unauthorized=True)
        groups = tuple(group for group in client.groups() if not is_own_group(group.name))
        # A digest and not the snapshots themselves: every look has new objects, and browsers only want to know whether
        # to fetch.
        digest = hash((tuple(map(_visible, (*agents, *discovered))), groups))
        version = self._snapshot.version + (digest != self._digest)
        now = datetime.now(UTC)
        found = Counter(activity_of(agent, now) for agent in agents)
        counts = {str(state): found[state] for state in Activity if found[state]}
        self._snapshot = Snapshot(version, now, agents, discovered, groups, counts)
        self._digest, self._taken_at = digest, self._clock()
        self._took = self._taken_at - started
        self._on_snapshot(self._snapshot)


def _nothing() -> None:
    pass


def _visible(agent: Agent) -> tuple[object, ...]:
    """Return what makes a page look different. `last_seen` moves all the time: the browser counts it up by itself."""
    return (agent.id, agent.address, agent.authorized, agent.disabled, agent.groups, agent.job, agent.host_info)
