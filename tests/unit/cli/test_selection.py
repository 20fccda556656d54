"""Agents and groups that a command line names."""

from __future__ import annotations

import pytest

from kraken_fleet.cli.selection import find_agents, find_group
from kraken_fleet.errors import FleetError, UsageError
from kraken_fleet.model import Agent, AgentsGroup, DesiredAgent, GroupRef, HostNames

_ALL = GroupRef(1, "all")
_GPU = GroupRef(2, "gpu")
_KNOWN = (
    Agent(1, "one", "10.0.0.1", groups=(_ALL, _GPU)),
    Agent(2, "two", "10.0.0.2", groups=(_ALL,)),
    Agent(3, "two", "10.0.0.3", groups=(_ALL,)),
    Agent(4, "1", "10.0.0.4", groups=(_ALL, _GPU)),
    Agent(5, "fe80::5", "fe80::5", groups=(_ALL,)),
)
_NAMES = HostNames(
    {
        "10.0.0.1": DesiredAgent("build-1.example.com", "10.0.0.1"),
        "10.0.0.2": DesiredAgent("build-2.example.com", "10.0.0.2"),
        "10.0.0.3": DesiredAgent("big", "10.0.0.3", instance="a"),
    }
)


def _ids(*patterns: str) -> list[int]:
    return [agent.id for agent in find_agents(patterns, _KNOWN, _NAMES)]


@pytest.mark.parametrize(("wanted", "agent_id"), [("one", 1), ("10.0.0.2", 2), ("3", 3), ("1", 4), ("fe80::5", 5)])
def test_an_agent_is_found_by_name_address_or_id_and_a_name_wins(wanted: str, agent_id: int) -> None:
    assert _ids(wanted) == [agent_id]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (["build-1.example.com"], [1]),
        (["big"], [3]),
        (["big/a"], [3]),
        (["build-*"], [1, 2]),
        (["build-[12].*"], [1, 2]),
        (["gpu"], [1, 4]),
        (["all:!gpu"], [2, 3, 5]),
        (["!gpu"], [2, 3, 5]),
        (["build-*:&gpu"], [1]),
        (["build-*,10.0.0.4,!10.0.0.2"], [1, 4]),
        (["~build-\\d\\.example"], [1, 2]),
        (["one", "10.0.0.1"], [1]),
        (["one", "two"], [1, 2, 3]),
    ],
)
def test_patterns_are_those_of_ansibles_limit(wanted: list[str], ids: list[int]) -> None:
    assert _ids(*wanted) == ids


@pytest.mark.parametrize("pattern", ["nine", "one,nine", "x*", "all:&nine", "all:!nine", "gpu:!gpu", "Build-1*"])
def test_a_part_that_stands_for_nothing_is_an_error(pattern: str) -> None:
    with pytest.raises(FleetError, match=r"no agent|No agent is left"):
        _ids(pattern)


def test_what_was_probably_meant_is_named() -> None:
    with pytest.raises(FleetError, match=r"Did you mean build-1\.example\.com"):
        _ids("build1.example.com")


@pytest.mark.parametrize("pattern", ["", ",", "!", "~["])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError):
        _ids(pattern)


def test_a_name_of_several_agents_is_refused_where_each_name_means_one() -> None:
    with pytest.raises(FleetError, match=r"several agents.*2, 3"):
        find_agents(["two"], _KNOWN, one_each=True)
    assert [agent.id for agent in find_agents(["tw?"], _KNOWN, one_each=True)] == [2, 3]


def test_an_unknown_agent_is_refused_with_where_to_look() -> None:
    with pytest.raises(FleetError, match=r"no agent 'nine'.*discovered list"):
        find_agents(["one", "nine"], _KNOWN)


def test_an_agent_is_called_as_the_inventory_calls_it_and_never_twice_by_its_address() -> None:
    assert [_NAMES.name(agent) for agent in _KNOWN] == ["build-1.example.com", "build-2.example.com", "big/a", "1", ""]
    labels = ["build-1.example.com (10.0.0.1)", "fe80::5"]
    assert [_NAMES.label(agent) for agent in (_KNOWN[0], _KNOWN[-1])] == labels


def test_a_group_is_found_by_name_or_id() -> None:
    groups = [AgentsGroup(7, "build")]
    assert find_group("build", groups) == find_group("7", groups) == groups[0]
    with pytest.raises(FleetError, match="no agents group 'test'"):
        find_group("test", groups)
