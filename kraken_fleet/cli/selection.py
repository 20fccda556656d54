"""Finding the agents and groups that a command line names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from kraken_fleet.errors import FleetError
from kraken_fleet.model import Agent, AgentsGroup


def find_agents(wanted: Sequence[str], known: Sequence[Agent]) -> list[Agent]:
    """Return the agents with these names, addresses or ids, each once.

    Raises:
        FleetError: one is unknown, or a name stands for several.
    """
    return list(dict.fromkeys(_find_agent(name, known) for name in wanted))


def find_group(wanted: str, known: Iterable[AgentsGroup]) -> AgentsGroup:
    """Return the agents group with this name or id.

    Raises:
        FleetError: there is none.
    """
    groups = list(known)
    for group in groups:
        if wanted in (group.name, str(group.id)):
            return group
    near = difflib.get_close_matches(wanted, [group.name for group in groups], n=1)
    hint = f"Did you mean {near[0]}?" if near else "See `kraken-fleet groups list`"
    raise FleetError(f"There is no agents group {wanted!r}", hint=hint)


def _find_agent(wanted: str, known: Sequence[Agent]) -> Agent:
    found = [agent for agent in known if wanted in (agent.name, agent.address)]
    found = found or [agent for agent in known if wanted == str(agent.id)]
    if not found:
        hint = "See `kraken-fleet agents list` and `kraken-fleet discovered list`"
        raise FleetError(f"The server has no agent {wanted!r}", hint=hint)
    if len(found) > 1:
        ids = ", ".join(str(agent.id) for agent in found)
        raise FleetError(f"{wanted!r} stands for several agents", hint=f"Name one by its id: {ids}")
    return found[0]
