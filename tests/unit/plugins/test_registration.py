"""What becomes of a play's registration, host by host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import registration
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HostResults
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.registration import Outcome

from kraken_fleet.model import Agent, AgentsGroup, DesiredAgent, DesiredFleet, ObservedFleet
from kraken_fleet.plan import make_plan
from kraken_fleet.reconcile import Waiting
from tests.walked import Walked

FLEET = DesiredFleet(
    (
        DesiredAgent("web", "10.0.0.1", frozenset({"build"})),
        DesiredAgent("box", "10.0.0.2", frozenset({"gpu"}), instance="one"),
        DesiredAgent("box", "10.0.0.3", frozenset({"gpu"}), instance="two"),
    ),
    complete=False,
)


class Hostvars:
    """As much of Ansible's `hostvars` as is asked for."""

    def __init__(self, variables: dict[str, dict[str, Any]]) -> None:
        self._variables = variables

    def raw_get(self, host: str) -> dict[str, Any]:
        return self._variables[host]


def test_failures_hit_the_hosts_that_they_belong_to() -> None:
    outcome = Outcome()
    outcome.blame(
        FLEET, {"box/one (10.0.0.2)": "label", "10.0.0.1": "address", "gpu": "group", "elsewhere": "nobody's"}
    )
    assert outcome.failures == {"box": "label", "web": "address"}
    assert outcome.general == ["elsewhere: nobody's"]
    result = outcome.result(FLEET)
    assert result["failed"] is True
    assert result["failed_hosts"] == {"box": "label", "web": "address"}


def test_failures_of_all_hosts_need_no_walk_for_each_of_them() -> None:
    walks = []
    for number in (20, 200):
        agents = Walked(DesiredAgent(f"h{index}", f"10.0.0.{index}") for index in range(number))
        outcome = Outcome()
        outcome.blame(DesiredFleet(agents), {f"10.0.0.{index}": "gone" for index in range(number)})
        assert outcome.failures == {f"h{index}": "gone" for index in range(number)}
        walks.append(agents.walks)
    assert walks[0] == walks[1]


def test_hosts_that_failed_leave_the_task_itself_well() -> None:
    outcome = Outcome(failures={"web": "did not appear"})
    result = outcome.result(FLEET)
    assert "failed" not in result
    assert result["changed"] is False
    assert "diff" not in result


def test_a_prediction_counts_on_agents_that_the_server_has_yet_to_see() -> None:
    known = Agent(id=7, name="web", address="10.0.0.1", authorized=True)
    observed = registration.with_expected(FLEET, ObservedFleet((known,), (AgentsGroup(1, "all"),)))
    plan = make_plan(FLEET, observed, now=datetime.now(UTC))
    assert registration.described(plan.actions) == [
        "create agents group build",
        "create agents group gpu",
        "authorize box/one (10.0.0.2)",
        "authorize box/two (10.0.0.3)",
        "groups of box/one (10.0.0.2): +gpu",
        "groups of box/two (10.0.0.3): +gpu",
        "groups of web (10.0.0.1): +build",
    ]
    assert list(registration.notes(plan)) == []


def test_only_an_agent_that_was_started_in_this_play_has_to_be_heard_of_anew() -> None:
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    hostvars = Hostvars(
        {
            "started": {"__kraken_agent_host": {"changed": True, "started_at": began.isoformat()}},
            "as it was": {"__kraken_agent_host": {"changed": False}},
            "not deployed": {},
        }
    )
    ahead = timedelta(minutes=-5)  # by the server's clock it is earlier
    found = registration.deployed_after(HostResults(hostvars), ["started", "as it was", "not deployed"], ahead)
    assert found == {"started": began - timedelta(minutes=5, seconds=10)}


def test_people_are_told_every_ten_seconds_for_which_agents_it_waits() -> None:
    waiting = registration.WaitingLines()
    moments = [(0.2, "ab"), (9.9, "ab"), (10.0, "ab"), (19.0, "ab"), (21.5, "a"), (35, "abcdefg")]
    told = [list(waiting.lines(Waiting(missing=tuple(missing), seconds=seconds))) for seconds, missing in moments]
    assert told == [
        [],
        [],
        ["Waiting for 2 agents since 10 s: a, b"],
        [],
        ["Waiting for 1 agent since 22 s: a"],
        ["Waiting for 7 agents since 35 s: a, b, c, d, e and 2 more"],
    ]
