"""Which agents of a play are to be proven by a job, and why others are not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet


@dataclass(slots=True)
class Choice:
    """Who is proven.

    Args:
        chosen: each with what the inventory wants of it.
        left_out: label to reason, of agents that would have been chosen.
        unknown: hosts with an agent that the server does not have, or has not authorized.
        groups: agents groups of which no agent is proven, with the reason.
    """

    chosen: list[tuple[DesiredAgent, Agent]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)


def choose(
    fleet: DesiredFleet, agents: Iterable[Agent], changed: Collection[str], *, each: bool = False, alone: bool = False
) -> Choice:
    """Return those on hosts that have changed, and at least one of each agents group; all of them when asked.

    Who is disabled or works is left out: a proof would take the one out of its rest, and wait for the other.

    Args:
        fleet: the agents of the play.
        agents: what the server has.
        changed: hosts that the play has changed.
        each: choose all.
        alone: also those that are disabled: they are enabled for their proof only.
    """
    known = {agent.address: agent for agent in agents if agent.authorized}
    choice = Choice(unknown=list(dict.fromkeys(one.host for one in fleet.agents if one.address not in known)))
    pairs = [(wanted, known[wanted.address]) for wanted in fleet.agents if wanted.address in known]
    reasons = {wanted.label: "" if alone else _reason(wanted, agent) for wanted, agent in pairs}
    for wanted, agent in pairs:
        if each or wanted.host in changed:
            _take(choice, wanted, agent, reasons)
    for group, members in _members(pairs).items():
        if any(one in choice.chosen for one in members):
            continue
        free = next((one for one in members if not reasons[one[0].label]), None)
        if free:
            _take(choice, *free, reasons)
        else:
            choice.groups[group] = "; ".join(f"{one.label} {reasons[one.label]}" for one, _ in members)
    return choice


def _reason(wanted: DesiredAgent, agent: Agent) -> str:
    if agent.disabled or wanted.enabled is False:
        return "is disabled"
    return f"runs job {agent.job.id}" if agent.job else ""


def _take(choice: Choice, wanted: DesiredAgent, agent: Agent, reasons: Mapping[str, str]) -> None:
    if reasons[wanted.label]:
        choice.left_out[wanted.label] = reasons[wanted.label]
    else:
        choice.chosen.append((wanted, agent))


def _members(pairs: Iterable[tuple[DesiredAgent, Agent]]) -> dict[str, list[tuple[DesiredAgent, Agent]]]:
    """Return the agents of each group; those that are in none are a group of their own, the server's `all`."""
    found: dict[str, list[tuple[DesiredAgent, Agent]]] = {}
    for one in pairs:
        for group in one[0].groups or {"all"}:
            found.setdefault(group, []).append(one)
    return dict(sorted(found.items()))
