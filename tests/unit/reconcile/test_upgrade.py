"""Out of service for an upgrade, and back, whatever happens; several upgrades at once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kraken_fleet.errors import FleetError, RequestRejectedError
from kraken_fleet.model import Agent, Owner, OwnGroup, is_own_group
from kraken_fleet.plan import PlanPolicy, make_plan
from kraken_fleet.reconcile import observe, reconcile
from kraken_fleet.reconcile.events import Crowded
from kraken_fleet.reconcile.leftovers import sweep
from kraken_fleet.reconcile.owner import owner_of
from kraken_fleet.reconcile.upgrade import give_back, left_out_of_service, take_out, who_is_out
from kraken_fleet.reconcile.upgrade_batches import drain_batch, to_drain, upgrade_batches
from tests.fake_clock import FakeClock
from tests.unit.reconcile.lab import Lab, fleet

ADDRESSES = ["127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24"]
FLEET = fleet(*((f"h{number}", address, "gpu") for number, address in enumerate(ADDRESSES)))
ME = owner_of(os.getpid())
ENDED = Owner(ME.host, ME.pid, ME.started + 1)
# Of a machine that is not this one nothing is known but the time.
THEY = Owner("0123456789", 1, 1)


@pytest.fixture
def four(lab: Lab) -> Lab:
    """Four agents of one group."""
    for address in ADDRESSES:
        lab.speak(address)
    list(reconcile(lab.client, FLEET))
    return lab


def agents(lab: Lab, *numbers: int) -> list[Agent]:
    return [lab.agent(ADDRESSES[number]) for number in numbers]


def disabled(lab: Lab) -> list[int]:
    return [number for number, address in enumerate(ADDRESSES) if lab.agent(address).disabled]


def out(lab: Lab, *numbers: int, owner: Owner = ME, allowed: str = "50%", seconds: float = 5) -> None:
    chosen = agents(lab, *numbers)
    clock = FakeClock()
    list(take_out(lab.client, chosen, owner, max_unavailable=allowed, timeout=seconds, clock=clock, chance=lambda: 0))


def proven_alone(lab: Lab, number: int, owner: Owner) -> None:
    """Have a disabled agent as a proof of it has it: enabled, and in the proof's group alone."""
    (agent,) = agents(lab, number)
    groups = tuple(ref.id for ref in agent.groups)
    proof = OwnGroup("proof", owner, int(lab.client.server_time().timestamp()), 1, groups=groups, disabled=True)
    lab.client.set_agent_groups(agent.id, [lab.client.make_passing_group(proof.name).id])
    lab.client.enable_agent(agent.id)


def test_agents_come_back_into_the_groups_that_they_had_and_nothing_is_left(four: Lab) -> None:
    before = {agent.address: agent.groups for agent in four.client.agents()}
    out(four, 0, 1)
    assert disabled(four) == [0, 1]
    back, failures = give_back(four.client, ME)
    assert ([agent.address for agent in back], failures) == (ADDRESSES[:2], {})
    assert disabled(four) == []
    assert {agent.address: agent.groups for agent in four.client.agents()} == before
    assert not any(is_own_group(group.name) for group in four.client.groups())


def test_an_agent_that_does_not_work_stays_disabled_and_counts_as_told(four: Lab) -> None:
    out(four, 0, 1)
    give_back(four.client, ME, {four.agent(ADDRESSES[1]).id})
    assert disabled(four) == [1]
    assert left_out_of_service(four.client.agents(), who_is_out(four.client)) == []


def test_another_upgrade_waits_while_too_many_of_a_group_are_out(four: Lab) -> None:
    out(four, 0, owner=THEY)
    out(four, 1)
    with pytest.raises(FleetError, match="After 5 s another upgrade still has agents of gpu disabled"):
        out(four, 2, owner=owner_of(os.getppid()))
    assert disabled(four) == [0, 1]
    give_back(four.client, THEY)
    out(four, 2, owner=owner_of(os.getppid()))
    assert disabled(four) == [1, 2]


def test_an_agent_that_is_proven_alone_counts_as_out_of_work(four: Lab) -> None:
    out(four, 0, owner=THEY, allowed="2")
    out(four, 1, allowed="2")
    proven_alone(four, 0, THEY)
    with pytest.raises(FleetError, match="still has agents of gpu disabled"):
        out(four, 2, owner=owner_of(os.getppid()), allowed="2")
    assert disabled(four) == [1]


def test_an_agent_that_its_proof_could_not_put_back_comes_back_with_the_others(four: Lab) -> None:
    before = {agent.address: agent.groups for agent in four.client.agents()}
    out(four, 0, 1)
    proven_alone(four, 0, ME)
    back, failures = give_back(four.client, ME)
    assert ([agent.address for agent in back], failures) == (ADDRESSES[:2], {})
    assert {agent.address: agent.groups for agent in four.client.agents()} == before
    assert not any(is_own_group(group.name) for group in four.client.groups())


def test_agents_that_are_disabled_for_other_reasons_count_only_beside_other_upgrades(four: Lab) -> None:
    four.client.disable_agent(four.agent(ADDRESSES[3]).id)
    out(four, 0, 1)
    with pytest.raises(FleetError):
        out(four, 2, owner=THEY)


def test_what_a_killed_upgrade_has_left_comes_back_with_the_next(four: Lab) -> None:
    out(four, 0, owner=ENDED)
    observed = observe(four.client)
    plan = make_plan(FLEET, observed, now=four.client.server_time())
    assert [finding.subject for finding in plan.findings if finding.kind == "upgrade_broken_off"] == ["h0"]
    assert plan.actions == (), "whether the agent works is not known here"
    (left,) = left_out_of_service(four.client.agents(), who_is_out(four.client, ME))
    assert left.address == ADDRESSES[0]


def test_an_upgrade_takes_over_agents_that_another_has_left(four: Lab) -> None:
    out(four, 0, owner=ENDED)
    out(four, 0)
    give_back(four.client, ME)
    assert disabled(four) == []
    assert not any(is_own_group(group.name) for group in four.client.groups())


def test_a_deploy_lets_agents_work_again_that_an_upgrade_has_left(four: Lab) -> None:
    out(four, 0, owner=ENDED)
    list(reconcile(four.client, FLEET, PlanPolicy(give_back=True)))
    assert disabled(four) == []
    sweep(four.client, four.client.server_time())
    assert not any(is_own_group(group.name) for group in four.client.groups())


def test_an_upgrade_of_another_machine_is_believed_to_go_on_for_hours(four: Lab) -> None:
    now = int(four.client.server_time().timestamp())
    for hours, expected in ((5, 0), (7, 1)):
        group = four.client.make_passing_group(OwnGroup("upgrade", THEY, now - hours * 3600, hours).name)
        agent = four.agent(ADDRESSES[hours - 5])
        four.client.set_agent_groups(agent.id, [*(ref.id for ref in agent.groups), group.id])
        four.client.disable_agent(agent.id)
        assert len(left_out_of_service(four.client.agents(), who_is_out(four.client, ME))) == expected


def test_a_server_that_fails_for_a_moment_does_not_keep_agents_out(four: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    out(four, 0, 1)
    enable, failures = four.client.enable_agent, [RequestRejectedError("no", status=500, detail="no")] * 2

    def sometimes(number: int) -> Agent:
        if failures:
            raise failures.pop()
        return enable(number)

    monkeypatch.setattr(four.client, "enable_agent", sometimes)
    give_back(four.client, ME, clock=FakeClock())
    assert disabled(four) == []


def test_batches_begin_with_hosts_left_disabled_and_count_who_else_is_disabled(four: Lab) -> None:
    out(four, 2, 3, owner=ENDED)
    made = upgrade_batches(four.client, FLEET, ME, ["100%"], "50%")
    assert (made.left, made.hosts) == (["h2", "h3"], [["h2", "h3"], ["h0", "h1"]])

    four.client.disable_agent(four.agent(ADDRESSES[0]).id)
    made = upgrade_batches(four.client, FLEET, ME, ["100%"], "50%")
    assert made.hosts == [["h2", "h0"], ["h3"], ["h1"]], "with h0, which a person has disabled, two are out at most"


def test_a_check_of_an_upgrade_leaves_on_the_server_what_others_have_left_there(four: Lab) -> None:
    left = four.client.make_passing_group(OwnGroup("proof", ENDED, 1, 7).name)
    four.requests.clear()
    upgrade_batches(four.client, FLEET, ME, ["100%"], "50%", check=True)
    assert [line for line in four.requests if not line.startswith("GET")] == []
    assert left.name in [group.name for group in four.client.groups()]
    upgrade_batches(four.client, FLEET, ME, ["100%"], "50%")
    assert left.name not in [group.name for group in four.client.groups()]


def test_an_upgrade_that_was_killed_in_a_proof_is_known_as_such_afterwards(four: Lab) -> None:
    out(four, 0, owner=ENDED)
    agent = four.agent(ADDRESSES[0])
    groups = tuple(sorted(ref.id for ref in agent.groups))
    place = four.client.make_passing_group(OwnGroup("proof", ENDED, 1, 8, groups=groups, disabled=True).name)
    four.client.set_agent_groups(agent.id, [place.id])
    four.client.enable_agent(agent.id)
    for _ in range(2):
        sweep(four.client, four.client.server_time())
        after = four.agent(ADDRESSES[0])
        assert (after.disabled, after.group_names) == (True, agent.group_names)
        assert [one.id for one in left_out_of_service(four.client.agents(), who_is_out(four.client, ME))] == [agent.id]


def test_a_batch_that_cannot_be_drained_says_why_for_each_agent(four: Lab) -> None:
    out(four, 0, owner=THEY)
    mine = agents(four, 1)
    todo = to_drain(four.client, mine, ME)
    work = drain_batch(four.client, mine, todo, ME, max_unavailable="25%", timeout=3, clock=FakeClock())
    failures: dict[str, str] = {}

    def told() -> Iterator[object]:
        failures.update((yield from work))

    assert all(isinstance(event, Crowded) for event in told())
    assert failures.keys() == {ADDRESSES[1]}
    assert "another upgrade still has agents of gpu disabled" in failures[ADDRESSES[1]]
    assert disabled(four) == [0]
