"""Agents that a complete inventory does not have: how many, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kraken_fleet.model import Agent, DesiredFleet, ObservedFleet
from kraken_fleet.plan.actions import Action, DeleteAgent, Disable, Unauthorize
from kraken_fleet.plan.policy import PlanPolicy, Prune


@dataclass(frozen=True, slots=True)
class PruneNumbers:
    """Shown before anything is pruned.

    Args:
        candidates: authorized agents that the inventory does not have.
        total: all authorized agents.
        refused: why the plan must not be applied, empty when it may.
    """

    candidates: int = 0
    total: int = 0
    refused: str = ""

    @property
    def hint(self) -> str:
        """What to do when it is refused."""
        return "Raise --max-prune if that is meant" if self.candidates else "Leave out --limit"

    @property
    def percent(self) -> float:
        return 100 * self.candidates / self.total if self.total else 0.0


def prune(
    desired: DesiredFleet, observed: ObservedFleet, policy: PlanPolicy, named: Collection[int] = ()
) -> tuple[list[Action], PruneNumbers]:
    """Plan what happens to agents that the inventory lacks.

    A slice of an inventory never prunes: what it lacks may belong to somebody else.

    Args:
        named: ids of agents that the inventory lacks but a trust policy names; they stay.
    """
    authorized = [agent for agent in observed.agents if agent.authorized]
    asked = desired.by_address()
    others = [agent for agent in authorized if agent.address not in asked and agent.id not in named]
    candidates = others if desired.complete else []
    numbers = PruneNumbers(
        len(candidates), len(authorized), _refusal(len(candidates), len(authorized), desired, policy)
    )
    actions = [action for agent in candidates if (action := _action(agent, policy.prune))]
    return actions, numbers


def _refusal(candidates: int, total: int, desired: DesiredFleet, policy: PlanPolicy) -> str:
    if policy.prune is Prune.REPORT:
        return ""
    if not desired.complete:
        return "Pruning needs the whole inventory, and --limit has chosen a part of it"
    if candidates and 100 * candidates / total > policy.max_prune:
        return (
            f"It would {policy.prune.value} {candidates} of {total} agents ({100 * candidates / total:.0f} %), "
            f"more than the {policy.max_prune:g} % that are allowed"
        )
    return ""


def _action(agent: Agent, way: Prune) -> Action | None:
    reason = "the inventory does not have it"
    if way is Prune.REPORT:
        return None
    # A running job is never cut off: the agent only gets no more of them, and goes next time.
    if agent.job is not None and way is not Prune.DISABLE:
        way, reason = Prune.DISABLE, f"{reason}; it runs job {agent.job.id}, so it goes when that has ended"
    if way is Prune.DISABLE:
        return None if agent.disabled else Disable(agent_id=agent.id, address=agent.address, reason=reason)
    kind = Unauthorize if way is Prune.UNAUTHORIZE else DeleteAgent
    return kind(agent_id=agent.id, address=agent.address, reason=reason)
