# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorizes, groups, enables and deletes agents that the server knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agent_changes import (
    Wanted,
    after,
    changes,
    deletions,
    unknown_groups,
)
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agents import find, shown
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, PartialFailureError, UsageError
from kraken_fleet.model import Agent
from kraken_fleet.plan import Action, Plan
from kraken_fleet.reconcile import Done, apply
from kraken_fleet.reconcile.observe import observe_agents

# What a diff shows of an agent: what this module can change.
_COMPARED = ("authorized", "enabled", "groups")


class ActionModule(ControllerAction):
    """Reads the agents and groups once, and sends only what differs."""

    ARGUMENTS = arguments_of("agent")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        with client_of(arguments) as client:
            agents, missing = find(arguments["agents"], observe_agents(client))
            planned = _deletions(arguments, agents) if arguments["state"] == "absent" else None
            if planned is None:
                planned = _changes(client, arguments, agents, missing)
            if self._task.check_mode:
                return _result(agents, [after(agent, planned) for agent in agents], planned)
            done, failures = _apply(client, planned, arguments["concurrency"])
            current = {agent.id: agent for agent in observe_agents(client)} if done else {one.id: one for one in agents}
        return _result(agents, [current.get(agent.id) for agent in agents], done, failures)


def _deletions(arguments: dict[str, Any], agents: Sequence[Agent]) -> tuple[Action, ...]:
    given = [name for name in ("authorized", "enabled", "groups") if arguments[name] is not None]
    if given:
        raise UsageError(f"With state absent there is no {', '.join(given)}", hint="Leave it out")
    return deletions(agents)


def _changes(
    client: KrakenClient, arguments: dict[str, Any], agents: Sequence[Agent], missing: Sequence[str]
) -> tuple[Action, ...]:
    if missing:
        hint = "An agent exists only once it has spoken to the server: start it there, or correct the address"
        raise FleetError(f"The server has no agent {', '.join(missing)}", where=client.url, hint=hint)
    names = arguments["groups"]
    wanted = Wanted(
        authorized=arguments["authorized"],
        enabled=arguments["enabled"],
        groups=None if names is None else frozenset(names),
        exact=arguments["groups_mode"] == "exact",
    )
    groups = client.groups() if names is not None else ()
    unknown = unknown_groups(wanted, groups)
    if unknown and not arguments["create_groups"]:
        hint = "Make it with kraken_ci.fleet.agent_group, or set create_groups to true"
        raise FleetError(f"The server has no agents group {', '.join(unknown)}", where=client.url, hint=hint)
    return changes(agents, wanted, groups)


def _apply(
    client: KrakenClient, actions: tuple[Action, ...], concurrency: int
) -> tuple[tuple[Action, ...], dict[str, str]]:
    """Make the changes; return what was done, in the order of the plan, and why the rest was not."""
    done: set[Action] = set()
    failures: dict[str, str] = {}
    try:
        for event in apply(client, Plan(actions=actions), concurrency=concurrency):
            if isinstance(event, Done):
                done.add(event.action)
    except PartialFailureError as error:
        failures = error.failures
    # Several are made at once, and end in any order.
    return tuple(action for action in actions if action in done), failures


def _result(
    before: Sequence[Agent],
    now: Sequence[Agent | None],
    actions: Iterable[Action],
    failures: dict[str, str] | None = None,
) -> dict[str, Any]:
    left = [agent for agent in now if agent]
    described = [action.describe() for action in actions]
    result: dict[str, Any] = {
        "changed": bool(described),
        "changes": described,
        "agents": [shown(agent) for agent in left],
    }
    if described:
        result["diff"] = {
            "before": _text(before),
            "after": _text(left),
            "before_header": "agents",
            "after_header": "agents",
        }
    if failures:
        result.update(failed=True, failures=failures, msg="\n".join(f"{who}: {why}" for who, why in failures.items()))
    return result


def _text(agents: Iterable[Agent]) -> str:
    compared = {agent.address: {name: shown(agent)[name] for name in _COMPARED} for agent in agents}
    return yaml.safe_dump(compared) if compared else ""
