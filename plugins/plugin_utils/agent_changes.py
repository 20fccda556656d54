# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module `agent` changes: a plan for agents that a task names, and how they look afterwards. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kraken_fleet import plan
from kraken_fleet.model import ALL_GROUP, Agent, AgentsGroup, DesiredAgent
from kraken_fleet.model.agent import GroupRef
from kraken_fleet.plan.actions import ACTION_TYPES
from kraken_fleet.plan.membership import LivingGroups, missing_groups


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the agents of a task should be; None leaves what there is.

    Args:
        groups: agents groups that they are in.
        exact: whether they are in no others.
    """

    authorized: bool | None = None
    enabled: bool | None = None
    groups: frozenset[str] | None = None
    exact: bool = False


def unknown_groups(wanted: Wanted, groups: Iterable[AgentsGroup]) -> list[str]:
    """Return groups that are asked for and that the server does not have."""
    return [action.name for action in missing_groups(LivingGroups.of(groups), wanted.groups or ())]


def changes(agents: Sequence[Agent], wanted: Wanted, groups: Sequence[AgentsGroup]) -> tuple[plan.Action, ...]:
    """Return what has to be done, in the order in which it is done; nothing for agents that are as they should be."""
    living = LivingGroups.of(groups)
    found: list[plan.Action] = (
        [plan.CreateGroup(name=name) for name in unknown_groups(wanted, groups)] if agents else []
    )
    for agent in agents:
        found += _of_agent(agent, wanted, living)
    return tuple(sorted(found, key=lambda action: ACTION_TYPES.index(type(action))))


def deletions(agents: Iterable[Agent]) -> tuple[plan.Action, ...]:
    """Delete the records of agents."""
    return tuple(plan.DeleteAgent(**_subject(agent)) for agent in agents)


def after(agent: Agent, actions: Iterable[plan.Action]) -> Agent | None:
    """Return the agent as it will be; None when its record is deleted."""
    for action in actions:
        if getattr(action, "agent_id", None) != agent.id:
            continue
        if isinstance(action, plan.DeleteAgent):
            return None
        agent = _changed(agent, action)
    return agent


def _of_agent(agent: Agent, wanted: Wanted, living: LivingGroups) -> list[plan.Action]:
    found: list[plan.Action] = []
    if wanted.authorized is not None and wanted.authorized != agent.authorized:
        subject = _subject(agent)
        found.append(plan.Authorize(**subject, policy="task") if wanted.authorized else plan.Unauthorize(**subject))
    if wanted.enabled is not None and wanted.enabled != agent.enabled:
        found.append((plan.Enable if wanted.enabled else plan.Disable)(**_subject(agent)))
    if wanted.groups is not None:
        mode = plan.GroupsMode.EXACT if wanted.exact else plan.GroupsMode.MERGE
        desired = DesiredAgent(host=agent.name, address=agent.address, groups=wanted.groups)
        change = plan.groups_change(agent, desired, living, mode)
        if change:
            found.append(change)
    return found


def _subject(agent: Agent) -> dict[str, Any]:
    return {"agent_id": agent.id, "address": agent.address, "host": agent.name}


def _changed(agent: Agent, action: plan.Action) -> Agent:
    match action:
        case plan.Authorize():
            everybody = () if ALL_GROUP in agent.group_names else (GroupRef(0, ALL_GROUP),)
            return dataclasses.replace(agent, authorized=True, groups=(*agent.groups, *everybody))
        case plan.Unauthorize():
            return dataclasses.replace(agent, authorized=False)
        case plan.Enable() | plan.Disable():
            return dataclasses.replace(agent, disabled=isinstance(action, plan.Disable))
        case plan.SetGroups():
            kept = [ref for ref in agent.groups if ref.id in action.kept or ref.name == ALL_GROUP]
            return dataclasses.replace(agent, groups=(*kept, *(GroupRef(0, name) for name in action.added)))
    return agent
