"""Batches of hosts that leave each agents group enough agents in service."""

from __future__ import annotations

from collections import Counter

import pytest

from kraken_fleet.errors import UsageError
from kraken_fleet.model import DesiredAgent
from kraken_fleet.plan import batches
from tests.cost import least_cpu


def fleet(**groups: str) -> list[DesiredAgent]:
    """An agent for each host; its groups are words."""
    return [DesiredAgent(host, f"address of {host}", frozenset(words.split())) for host, words in groups.items()]


def test_hosts_keep_their_order_and_batches_their_size() -> None:
    agents = fleet(a="x", b="x", c="x", d="x", e="x")
    assert batches(agents, [2], "100%") == [["a", "b"], ["c", "d"], ["e"]]


def test_a_group_spares_no_more_agents_than_are_allowed() -> None:
    agents = fleet(gpu1="gpu", gpu2="gpu", a="build", b="build", c="build", d="build")
    assert batches(agents, ["100%"], "50%") == [["gpu1", "a", "b"], ["gpu2", "c", "d"]]
    assert batches(agents, ["100%"], 1) == [["gpu1", "a"], ["gpu2", "b"], ["c"], ["d"]]


def test_a_host_waits_when_only_one_of_its_groups_can_not_spare_it() -> None:
    agents = fleet(a="build", b="build gpu", c="gpu", d="gpu")
    assert batches(agents, [4], "50%") == [["a", "c"], ["b"], ["d"]]


def test_a_group_of_one_agent_spares_it_and_agents_without_groups_are_free() -> None:
    assert batches(fleet(a="only", b="", c=""), ["100%"], "50%") == [["a", "b", "c"]]


def test_all_agents_of_a_host_count_and_go_together() -> None:
    instances = [DesiredAgent("many", f"10.0.0.{n}", frozenset({"x"}), instance=str(n)) for n in range(3)]
    one = DesiredAgent("one", "10.0.0.9", frozenset({"x"}))
    assert batches([one, *instances], ["100%"], 2) == [["one"], ["many"]]


def test_agents_that_get_no_jobs_count_as_out_in_every_batch_and_need_no_room() -> None:
    agents = fleet(a="x", b="x", c="x", d="x", e="x", f="x")
    assert batches(agents, ["100%"], "50%") == [["a", "b", "c"], ["d", "e", "f"]]
    assert batches(agents, ["100%"], "50%", resting=agents[:1]) == [["a", "b", "c"], ["d", "e"], ["f"]]
    assert batches(agents, ["100%"], "50%", {"x": 1}, agents[:1]) == [["a", "b"], ["c"], ["d"], ["e"], ["f"]]


def test_the_first_batches_can_be_smaller() -> None:
    agents = fleet(**{f"h{n:02}": "x" for n in range(20)})
    assert [len(batch) for batch in batches(agents, [1, "10%", "50%"], "100%")] == [1, 2, 10, 7]


@pytest.mark.parametrize("wrong", ["", "many", "-1", "0", "0%", "5 %%"])
def test_what_is_no_number_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no number"):
        batches(fleet(a="x"), [wrong], 1)


def test_ten_thousand_hosts_one_by_one_take_less_than_a_second() -> None:
    agents = [DesiredAgent(f"h{n}", f"a{n}", frozenset({"all of them", f"g{n % 50}"})) for n in range(10_000)]
    assert least_cpu(lambda: batches(agents, ["25%"], 1)) < 1
    assert Counter(map(len, batches(agents, ["25%"], 1))) == {1: 10_000}
