# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells of agents what the server knows of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.agents import find, shown
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import arguments_of
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.controller import ControllerAction, client_of

from kraken_fleet.reconcile.observe import observe_agents


class ActionModule(ControllerAction):
    """Reads both lists of agents, whole, and narrows them down."""

    ARGUMENTS = arguments_of("agent_info")

    def act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        with client_of(arguments) as client:
            known = observe_agents(client)
        names, groups = arguments["agents"], frozenset(arguments["groups"] or ())
        chosen, missing = (list(known), []) if names is None else find(names, known)
        if groups:
            chosen = [agent for agent in chosen if agent.group_names & groups]
        if arguments["authorized"] is not None:
            chosen = [agent for agent in chosen if agent.authorized == arguments["authorized"]]
        silent_after = timedelta(seconds=arguments["silent_seconds"])
        return {"changed": False, "agents": [shown(agent, silent_after) for agent in chosen], "missing": missing}
