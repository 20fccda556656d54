"""Whether a saved plan still fits: digests of the inventory, and of what the server has where the plan touches it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from kraken_fleet.errors import PlanError
from kraken_fleet.model import Deployment, DesiredFleet, ObservedFleet

if TYPE_CHECKING:
    from kraken_fleet.plan.document import Plan


def inventory_fingerprint(desired: DesiredFleet) -> str:
    """Return a digest of all that the inventory wants; the order of hosts does not matter."""
    agents = sorted((asdict(agent) for agent in desired.agents), key=lambda agent: str(agent["address"]))
    wanted: dict[str, object] = {"agents": agents, "complete": desired.complete}
    if desired.declared_groups:
        wanted["groups"] = sorted((group.name, *_deployment(group.deployment)) for group in desired.declared_groups)
    return _digest(wanted)


def server_fingerprint(observed: ObservedFleet, scope: Collection[str] | None, groups: Collection[str]) -> str:
    """Return a digest of what a plan rests on: not of times, host facts or jobs, which change by themselves.

    Args:
        scope: addresses of the agents concerned, None for all.
        groups: names of the groups concerned.
    """
    agents = sorted(
        # Groups by id: one that was deleted and made anew under its name is another group.
        (agent.id, agent.address, agent.authorized, agent.disabled, sorted(ref.id for ref in agent.groups))
        for agent in observed.agents
        if scope is None or agent.address in scope
    )
    living = sorted(
        (group.id, group.name, *(_deployment(group.deployment) if group.by_kraken else ()))
        for group in observed.groups
        if group.name in groups
    )
    dead = sorted((group.id, group.name) for group in observed.deleted_groups if group.name in groups)
    return _digest({"agents": agents, "groups": living, "deleted": dead})


def check_fresh(plan: Plan, observed: ObservedFleet, *, server: str = "", desired: DesiredFleet | None = None) -> None:
    """Refuse a plan that was made for another state of things.

    Args:
        observed: the server now.
        server: its URL.
        desired: the inventory now, when it is at hand.

    Raises:
        PlanError: it is stale or for another server, or pruning was refused.
    """
    again = "Make a new plan"
    if plan.prune.refused:
        raise PlanError(plan.prune.refused, hint=plan.prune.hint)
    if plan.server and server and plan.server != server:
        raise PlanError(f"The plan is for {plan.server}, not for {server}", hint=again)
    if desired is not None and inventory_fingerprint(desired) != plan.inventory_fingerprint:
        raise PlanError("The inventory has changed since the plan was made", hint=again)
    if server_fingerprint(observed, plan.scope, plan.groups) != plan.server_fingerprint:
        raise PlanError("The server has changed since the plan was made", hint=again)


def _deployment(deployment: Deployment | None) -> tuple[object, ...]:
    """Return what a digest has of a deployment. No secret: who has the digest and all the rest could guess it."""
    return (deployment.method, sorted(deployment.plain().items()), sorted(deployment.secrets())) if deployment else ()


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Iterable[str]) -> list[str]:
    return sorted(value)
