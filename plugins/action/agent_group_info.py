# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells of agents groups who is in them and which jobs wait for them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agents import shown_job
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet.model import Agent, AgentsGroup, Job, is_own_group
from kraken_fleet.reconcile.observe import observe_agents
from kraken_fleet.reconcile.waiting_jobs import waiting_jobs


class ActionModule(ControllerAction):
    """Reads groups, agents and unfinished runs once for all groups."""

    ARGUMENTS = arguments_of("agent_group_info")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        names = arguments["groups"]
        with client_of(arguments) as client:
            groups = [group for group in client.groups() if _asked_for(group.name, names)]
            agents = observe_agents(client)
            jobs = waiting_jobs(client) if arguments["waiting_jobs"] else ()
        members: dict[int, list[Agent]] = defaultdict(list)
        for agent in agents:
            for ref in agent.groups:
                members[ref.id].append(agent)
        waiting: dict[str | None, list[Job]] = defaultdict(list)
        for job in jobs:
            waiting[job.agents_group_name].append(job)
        found = [_shown(group, members[group.id], waiting[group.name]) for group in groups]
        there = {group.name for group in groups}
        return {"changed": False, "groups": found, "missing": [name for name in names or () if name not in there]}


def _asked_for(name: str, names: list[str] | None) -> bool:
    return not is_own_group(name) if names is None else name in names


def _shown(group: AgentsGroup, members: list[Agent], jobs: list[Job]) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "project": group.project_name,
        "agents_count": group.agents_count,
        "deployment": group.deployment.shown() if group.deployment else None,
        "agents": [
            {
                "id": agent.id,
                "name": agent.name,
                "address": agent.address,
                "authorized": agent.authorized,
                "enabled": agent.enabled,
            }
            for agent in members
        ],
        "waiting_jobs": [shown_job(job) for job in jobs],
    }
