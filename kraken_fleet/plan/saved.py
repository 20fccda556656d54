"""What a saved plan says, held against the server and the inventory: whoever could edit the file could say anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from kraken_fleet.errors import PlanError
from kraken_fleet.model import ALL_GROUP, METHODS, Agent, ObservedFleet
from kraken_fleet.plan.actions import Action, CreateGroup, RenameGroup, SetDeployment, SetGroups
from kraken_fleet.plan.document import Plan

_AGAIN = "Somebody has changed the file, or it is damaged. Make a new plan"
_SHOWN = 5


def check_against_server(plan: Plan, observed: ObservedFleet) -> None:
    """Refuse a plan whose actions are not about what the server has under their numbers.

    Args:
        observed: the server now.

    Raises:
        PlanError: an action names an agent or a group wrongly, or one that the plan's own fingerprint does not cover.
    """
    agents = {agent.id: agent for agent in observed.agents}
    for action in plan.actions:
        if objection := _objection(action, plan, observed, agents):
            raise PlanError(f"The plan says `{action.describe()}`, but {objection}", hint=_AGAIN)


def check_against_inventory(plan: Plan, recomputed: Plan) -> None:
    """Refuse a plan with other actions than the inventory asks for now.

    Args:
        recomputed: what the inventory and the server give, with the options of this command.

    Raises:
        PlanError: they differ; the text names the first few.
    """
    said, wanted = (dict(map(_essence, one.actions)) for one in (plan, recomputed))
    extra = [action.describe() for key, action in said.items() if key not in wanted]
    missing = [action.describe() for key, action in wanted.items() if key not in said]
    for found, words in ((extra, "has what the inventory does not ask for"), (missing, "lacks what it asks for")):
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise PlanError(
                f"The plan {words}: {'; '.join(found[:_SHOWN])}{more}",
                hint="Make a new plan, or give `apply` the options that this one was made with",
            )


def _objection(action: Action, plan: Plan, observed: ObservedFleet, agents: Mapping[int, Agent]) -> str:
    if isinstance(action, CreateGroup):
        return "" if action.name in plan.groups else "the plan is about no such group"
    if isinstance(action, SetDeployment):
        return _objection_to_deployment(action, plan)
    if isinstance(action, RenameGroup):
        return _objection_to_renaming(action, observed)
    agent = agents.get(action.agent_id)
    if agent is None:
        return f"the server has no agent {action.agent_id}"
    # A person approves an address, and the server obeys the id: they have to mean the same agent.
    if agent.address != action.address:
        return f"agent {action.agent_id} of the server is {agent.address}"
    if plan.scope is not None and action.address not in plan.scope:
        return f"{action.address} is not among the agents that the plan is about"
    return _objection_to_groups(action, plan, observed, agent) if isinstance(action, SetGroups) else ""


def _objection_to_deployment(action: SetDeployment, plan: Plan) -> str:
    if action.name == ALL_GROUP:
        return "Kraken would delete all agents then"
    if action.name not in plan.groups:
        return "the plan is about no such group"
    return "" if action.method in METHODS else "there is no such method"


def _objection_to_renaming(action: RenameGroup, observed: ObservedFleet) -> str:
    groups = observed.deleted_groups if action.deleted else observed.groups
    if any(group.id == action.group_id and group.name == action.name for group in groups):
        return ""
    return f"group {action.group_id} of the server is not called so"


def _objection_to_groups(action: SetGroups, plan: Plan, observed: ObservedFleet, agent: Agent) -> str:
    living = {group.id: group.name for group in observed.groups}
    strange = [str(number) for number in action.kept if number not in living]
    if strange:
        return f"the server has no living group {', '.join(strange)}"
    # `kept` is sent as it is. A group in it that the agent is not in would be joined without being shown as added.
    joined = set(action.kept) - {group.id for group in agent.groups}
    told = {living[number] for number in joined} - set(action.added) - {ALL_GROUP}
    if told:
        return f"the agent would also come into {', '.join(sorted(told))}"
    unknown = set(action.added) - plan.groups
    return f"the plan is about no group {', '.join(sorted(unknown))}" if unknown else ""


def _essence(action: Action) -> tuple[object, Action]:
    """Return everything that an action does, without the words that say why."""
    return (action.kind, *_without_words(action)), action


def _without_words(action: Action) -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(action):
        if field.name not in ("reason", "reasons"):
            yield field.name, getattr(action, field.name)
