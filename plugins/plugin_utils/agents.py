# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents of a Kraken server for modules: how they are named in a task, and what a task returns of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.arguments import read_as

from kraken_fleet.errors import UsageError
from kraken_fleet.model import Agent, Job, activity_of
from kraken_fleet.model.activity import SILENT_AFTER

# What the server, not the host, is told of an entry of kraken_agent_instances.
_SERVER_SIDE = ("groups", "groups_mode", "enabled", "system", "executors")


def on_host(instances: Any, option: str) -> list[Any]:
    """Return the entries of kraken_agent_instances without what only registration needs.

    Args:
        instances: as a task gives them. An entry of another type stays as it is, for the check of the task to name.
        option: the name that the task gives them.

    Raises:
        UsageError: they are no list.
    """
    return [
        {key: value for key, value in one.items() if key not in _SERVER_SIDE} if isinstance(one, Mapping) else one
        for one in read_as("list", instances, option) or ()
    ]


def find(names: Sequence[str], agents: Iterable[Agent]) -> tuple[list[Agent], list[str]]:
    """Look agents up by address, else by name.

    Returns:
        the agents, each once and in the order of the names, and the names that no agent has.

    Raises:
        UsageError: several agents have the name.
    """
    known = list(agents)
    found: dict[int, Agent] = {}
    missing = []
    for name in names:
        # An agent's address is its own on a server; its name is whatever somebody has given it.
        matching = [one for one in known if one.address == name] or [one for one in known if one.name == name]
        if len(matching) > 1:
            addresses = ", ".join(sorted(one.address for one in matching))
            raise UsageError(f"Several agents are called {name}: {addresses}", hint="Name one by its address")
        if matching:
            found.setdefault(matching[0].id, matching[0])
        else:
            missing.append(name)
    return list(found.values()), missing


def shown(agent: Agent, silent_after: timedelta = SILENT_AFTER) -> dict[str, Any]:
    """Return an agent as modules return it.

    Args:
        silent_after: after how long without a word its activity is `silent`.
    """
    info = agent.host_info
    return {
        "id": agent.id,
        "name": agent.name,
        "address": agent.address,
        "ip_address": agent.ip_address,
        "authorized": agent.authorized,
        "enabled": agent.enabled,
        "activity": str(activity_of(agent, datetime.now(UTC), silent_after)),
        "groups": sorted(agent.group_names),
        "system": info.system if info else None,
        "isolation": info.isolation_type if info else None,
        "executors": info.executors if info else {},
        "job_id": agent.job.id if agent.job else None,
        "last_seen": agent.last_seen.isoformat() if agent.last_seen else None,
        "comment": agent.comment,
    }


def shown_job(job: Job) -> dict[str, Any]:
    """Return a job that waits for an agent, as modules return it."""
    return {
        "id": job.id,
        "name": job.name,
        "run_id": job.run_id,
        "system": job.system,
        "executor": job.executor,
        "notes": job.notes,
        "created": job.created.isoformat() if job.created else None,
    }
