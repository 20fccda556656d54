"""Who is proven after a deploy, and who is only named."""

from __future__ import annotations

from dataclasses import replace

from kraken_fleet.model import Agent, DesiredAgent, DesiredFleet, JobRef
from kraken_fleet.proof import Choice, choose

GROUPS = {"a": {"build"}, "b": {"build"}, "c": {"test"}, "d": set()}
FLEET = DesiredFleet(tuple(DesiredAgent(host, f"10.0.0.{host}", frozenset(groups)) for host, groups in GROUPS.items()))
AGENTS = {host: Agent(number, host, f"10.0.0.{host}", authorized=True) for number, host in enumerate(GROUPS)}
# Not of the play, and in the same group.
OTHER_AGENT = Agent(99, "x", "10.0.0.99", authorized=True)


def chosen(choice: Choice) -> list[str]:
    return [wanted.label for wanted, _ in choice.chosen]


def with_agents(**changes: Agent | None) -> list[Agent]:
    return [agent for agent in {**AGENTS, **changes}.values() if agent] + [OTHER_AGENT]


def test_hosts_that_changed_and_one_of_each_other_group() -> None:
    assert chosen(choose(FLEET, with_agents(), {"b"})) == ["b", "d", "c"]
    assert chosen(choose(FLEET, with_agents(), set())) == ["d", "a", "c"]
    assert chosen(choose(FLEET, with_agents(), set(), each=True)) == ["a", "b", "c", "d"]


def test_who_works_or_is_disabled_is_named_and_another_of_the_group_is_taken() -> None:
    busy = replace(AGENTS["a"], job=JobRef(7))
    drained = replace(AGENTS["c"], disabled=True)
    choice = choose(FLEET, with_agents(a=busy, c=drained), {"a"})
    assert chosen(choice) == ["d", "b"] or chosen(choice) == ["b", "d"]
    assert choice.left_out == {"a": "runs job 7"}
    assert choice.groups == {"test": "c is disabled"}
    assert choice.unknown == []


def test_nobody_is_proven_by_an_agent_outside_the_play() -> None:
    choice = choose(FLEET, with_agents(a=None, b=replace(AGENTS["b"], authorized=False)), {"a", "b"})
    assert chosen(choice) == ["d", "c"]
    assert choice.unknown == ["a", "b"]


def test_disabled_agents_are_proven_alone() -> None:
    drained = replace(AGENTS["c"], disabled=True, job=JobRef(7))
    assert chosen(choose(FLEET, with_agents(c=drained), set(), each=True, alone=True)) == ["a", "b", "c", "d"]
