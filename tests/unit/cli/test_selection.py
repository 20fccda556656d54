"""Agents and groups that a command line names."""

from __future__ import annotations

import pytest

from kraken_fleet.cli.selection import find_agents, find_group
from kraken_fleet.errors import FleetError
from kraken_fleet.model import Agent, AgentsGroup

_KNOWN = (
    Agent(1, "one", "10.0.0.1"),
    Agent(2, "two", "10.0.0.2"),
    Agent(3, "two", "10.0.0.3"),
    Agent(4, "1", "10.0.0.4"),
)


@pytest.mark.parametrize(("wanted", "agent_id"), [("one", 1), ("10.0.0.2", 2), ("3", 3), ("1", 4)])
def test_an_agent_is_found_by_name_address_or_id_and_a_name_wins(wanted: str, agent_id: int) -> None:
    assert [agent.id for agent in find_agents([wanted], _KNOWN)] == [agent_id]


def test_an_agent_named_twice_is_found_once() -> None:
    assert [agent.id for agent in find_agents(["one", "10.0.0.1"], _KNOWN)] == [1]


def test_a_name_of_several_agents_is_refused_with_their_ids() -> None:
    with pytest.raises(FleetError, match=r"several agents.*2, 3"):
        find_agents(["two"], _KNOWN)


def test_an_unknown_agent_is_refused_with_where_to_look() -> None:
    with pytest.raises(FleetError, match=r"no agent 'nine'.*discovered list"):
        find_agents(["one", "nine"], _KNOWN)


def test_a_group_is_found_by_name_or_id() -> None:
    groups = [AgentsGroup(7, "build")]
    assert find_group("build", groups) == find_group("7", groups) == groups[0]
    with pytest.raises(FleetError, match="no agents group 'test'"):
        find_group("test", groups)
