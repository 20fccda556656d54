"""Putting agents into agents groups and taking them out, without losing the groups that were not named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError
from kraken_fleet.model import ALL_GROUP, Agent, AgentsGroup, is_own_group
from kraken_fleet.reconcile.events import Event
from kraken_fleet.reconcile.parallel import each, told

Ids = frozenset[int]


def change_groups(
    client: KrakenClient,
    agents: Sequence[Agent],
    *,
    add: Collection[AgentsGroup] = (),
    remove: Collection[AgentsGroup] = (),
    only: Collection[AgentsGroup] | None = None,
    concurrency: int = 8,
) -> Iterator[Event]:
    """Change the groups of agents.

    The server replaces the whole set. So what an agent has at that moment goes back in, and always `all` and the groups
    that kraken-fleet has made for itself.

    Args:
        add, remove: groups that the agents come into and leave.
        only: the agents leave all groups but these.

    Raises:
        PartialFailureError: at the end: the groups of some could not be changed.
    """
    added, removed = _ids(add), _ids(remove)
    kept = None if only is None else _ids(only)
    failures: dict[str, str] = {}
    now_in: dict[int, str] = {}
    outcomes = each(agents, _work(client, added, removed, kept, now_in), concurrency)
    yield from told(outcomes, failures, lambda agent: agent.name, lambda agent: f"in {now_in[agent.id]}")
    if failures:
        raise PartialFailureError(
            f"The groups of {len(failures)} of {len(agents)} agents could not be changed", failures=failures
        )


def _work(
    client: KrakenClient, added: Ids, removed: Ids, only: Ids | None, now_in: dict[int, str]
) -> Callable[[Agent], None]:
    def work(agent: Agent) -> None:
        found = client.agent(agent.id)
        have = {ref.id for ref in found.groups}
        stay = {ref.id for ref in found.groups if ref.name == ALL_GROUP or is_own_group(ref.name)}
        wanted = (stay | only if only is not None else have - (removed - stay)) | added
        if wanted != have:
            found = client.set_agent_groups(agent.id, wanted)
        now_in[agent.id] = ", ".join(sorted(found.group_names)) or "no group"

    return work


def _ids(groups: Collection[AgentsGroup]) -> Ids:
    return frozenset(group.id for group in groups)
