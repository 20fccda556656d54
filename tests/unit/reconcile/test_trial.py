"""Agents let in on trial, on a real embedded server."""

from __future__ import annotations

import pytest

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import PartialFailureError, PlanError, ServerFaultError
from kraken_fleet.model import AgentsGroup, TrustRule
from kraken_fleet.plan import AttestedTrust, Plan, PlanPolicy, RulesTrust, make_plan
from kraken_fleet.reconcile import Done, Event, Planned, TrialFailed, TrialPassed, apply, observe, reconcile
from tests.fake_clock import FakeClock
from tests.unit.reconcile.lab import Lab, fleet

A, B = "127.0.0.21", "127.0.0.22"
ATTESTED = PlanPolicy(trust=(AttestedTrust({A: "nonce-a", B: "nonce-b"}),))


def plan_of(events: list[Event]) -> Plan:
    return next(event.plan for event in events if isinstance(event, Planned))


def test_an_agent_that_repeats_its_nonce_is_grouped_and_enabled(lab: Lab) -> None:
    lab.speak(A)
    clock = FakeClock(steps=[lambda: lab.tell(A, kraken_fleet_nonce="nonce-a")])
    events = list(reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED, clock=clock))
    assert [event.action.kind for event in events if isinstance(event, Done)] == [
        "create_group",
        "disable",
        "authorize",
    ]
    assert events[-2].kind == "trial_passed"
    agent = lab.agent(A)
    assert (agent.authorized, agent.enabled, agent.group_names) == (True, True, {"all", "gpu"})


def test_the_groups_are_read_once_for_all_who_pass_in_one_look(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)

    def answers() -> None:
        for address, nonce in ((A, "nonce-a"), (B, "nonce-b")):
            lab.tell(address, kraken_fleet_nonce=nonce)
        lab.requests.clear()

    list(reconcile(lab.client, fleet(("a", A, "gpu"), ("b", B, "gpu")), ATTESTED, clock=FakeClock(steps=[answers])))
    assert lab.agent(A).group_names == lab.agent(B).group_names == {"all", "gpu"}
    assert len([line for line in lab.requests if "/groups?" in line]) == 1


def test_a_group_that_cannot_be_made_only_hurts_those_who_want_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (A, B):
        lab.speak(address)
    make = KrakenClient._post_group

    def refuse(client: KrakenClient, name: str, project_id: int | None) -> AgentsGroup:
        if name == "docker":
            raise ServerFaultError("it broke")
        return make(client, name, project_id)

    monkeypatch.setattr(KrakenClient, "_post_group", refuse)
    rules = (
        TrustRule(frozenset({"docker"}), (f"{A}/32",), executors=frozenset({"docker"})),
        TrustRule(frozenset({"debian"}), (f"{B}/32",), systems=("debian-*",)),
    )

    def answers() -> None:
        lab.tell(A, docker="28.1")
        lab.tell(B)

    with pytest.raises(PartialFailureError) as caught:
        list(reconcile(lab.client, fleet(), PlanPolicy(trust=(RulesTrust(rules),)), clock=FakeClock(steps=[answers])))
    assert caught.value.failures == {A: "it broke"}
    assert (lab.agent(B).enabled, lab.agent(B).group_names) == (True, {"all", "debian"})
    assert lab.agent(A).disabled, "it gets no job before it is where it belongs"


def test_an_agent_with_another_nonce_is_put_out_again_and_the_others_stay(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)

    def answers() -> None:
        lab.tell(A, kraken_fleet_nonce="nonce-a")
        lab.tell(B, kraken_fleet_nonce="nonce-a")

    events: list[Event] = []
    wanted = fleet(("a", A, "gpu"), ("b", B, "gpu"))
    with pytest.raises(PartialFailureError) as caught:
        events.extend(reconcile(lab.client, wanted, ATTESTED, clock=FakeClock(steps=[answers])))
    (failed,) = [event for event in events if isinstance(event, TrialFailed)]
    assert failed.reason == f"the agent that claims {B} is not the one on b"
    assert list(caught.value.failures) == [f"b ({B})"]
    assert lab.agent(A).enabled
    put_out = lab.agent(B)
    assert (put_out.authorized, put_out.disabled, put_out.group_names) == (False, True, {"all"})


def test_an_agent_that_says_nothing_is_put_out_after_the_time(lab: Lab) -> None:
    lab.speak(A)
    clock = FakeClock()
    with pytest.raises(PartialFailureError, match="1 agents or groups"):
        list(reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED, clock=clock, trial_timeout=20))
    assert clock.time == pytest.approx(20)
    assert not lab.agent(A).authorized


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ServerFaultError("it broke")])
def test_whoever_was_not_judged_does_not_stay_authorized(lab: Lab, fault: BaseException) -> None:
    for address in (A, B):
        lab.speak(address)

    def broken_off() -> None:
        assert lab.agent(A).authorized
        raise fault

    with pytest.raises(type(fault)):
        list(reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED, clock=FakeClock(steps=[broken_off])))
    assert not lab.agent(A).authorized


def test_who_has_passed_stays_authorized_when_the_server_fails_at_the_next_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in (A, B):
        lab.speak(address)

    def answers() -> None:
        for address, nonce in ((A, "nonce-a"), (B, "nonce-b")):
            lab.tell(address, kraken_fleet_nonce=nonce)

    events = reconcile(
        lab.client, fleet(("a", A, ""), ("b", B, "")), ATTESTED, clock=FakeClock(steps=[answers]), concurrency=1
    )
    passed = next(event for event in events if event.kind == "trial_passed")
    assert isinstance(passed, TrialPassed)
    with pytest.raises(OSError, match="full"):
        events.throw(OSError("the disk is full"))  # type: ignore[attr-defined] # it is a generator
    first, second = (A, B) if passed.subject == f"a ({A})" else (B, A)
    assert (lab.agent(first).authorized, lab.agent(first).enabled) == (True, True)
    assert not lab.agent(second).enabled or lab.agent(second).authorized


def test_an_application_that_ends_before_the_trials_leaves_nobody_authorized(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.speak(A)
    events = reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED, clock=FakeClock())
    for event in events:
        if isinstance(event, Done) and event.action.kind == "authorize":
            break
    assert lab.agent(A).authorized
    events.close()  # type: ignore[attr-defined] # it is a generator
    assert not lab.agent(A).authorized


def test_a_record_of_an_earlier_life_is_not_held_against_an_agent(lab: Lab) -> None:
    lab.speak(A)
    first = FakeClock(steps=[lambda: lab.tell(A, kraken_fleet_nonce="nonce-a")])
    list(reconcile(lab.client, fleet(("a", A, "")), ATTESTED, clock=first))
    lab.client.delete_agent(lab.agent(A).id)
    lab.speak(A)
    again = PlanPolicy(trust=(AttestedTrust({A: "second"}),))
    clock = FakeClock(steps=[lambda: None, lambda: lab.tell(A, kraken_fleet_nonce="second")])
    list(reconcile(lab.client, fleet(("a", A, "")), again, clock=clock))
    assert lab.agent(A).authorized


def test_an_agent_that_has_not_noticed_that_it_was_out_is_shut_out_once_more(lab: Lab) -> None:
    """It tells what it is only after it was told that it is not let in."""
    _let_in(lab, "nonce-a")
    lab.tell(A, kraken_fleet_nonce="somebody else's")
    lab.client.set_authorized([lab.agent(A).id], authorized=False)
    seen: list[bool] = []

    def ask() -> None:
        seen.append(lab.agent(A).authorized)
        if seen[-2:] == [False, True]:
            lab.tell(A, kraken_fleet_nonce="nonce-a")

    clock = FakeClock(steps=[ask] * 30)
    policy = PlanPolicy(trust=(AttestedTrust({A: "nonce-a"}),))
    list(reconcile(lab.client, fleet(("a", A, "gpu")), policy, clock=clock))
    assert lab.agent(A).authorized
    assert seen.count(False) == 1


def _let_in(lab: Lab, nonce: str) -> None:
    """An agent that has proved itself and is in the group gpu."""
    lab.speak(A)
    clock = FakeClock(steps=[lambda: lab.tell(A, kraken_fleet_nonce=nonce)])
    policy = PlanPolicy(trust=(AttestedTrust({A: nonce}),))
    list(reconcile(lab.client, fleet(("a", A, "gpu")), policy, clock=clock))


def test_an_agent_that_still_reports_its_nonce_is_not_asked_again(lab: Lab) -> None:
    _let_in(lab, "nonce-a")
    lab.requests.clear()
    assert not plan_of(list(reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED))).changes
    assert lab.writes == []


def test_an_agent_that_tells_its_new_nonce_stays_and_nothing_changes(lab: Lab) -> None:
    _let_in(lab, "before the host was rebuilt")
    lab.requests.clear()
    clock = FakeClock(steps=[lambda: None, lambda: lab.tell(A, kraken_fleet_nonce="nonce-a")])
    events = list(reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED, clock=clock))
    assert [event.kind for event in events] == ["planned", "trial_passed", "finished"]
    assert lab.writes == []


def test_an_authorized_agent_that_lost_its_nonce_is_unauthorized(lab: Lab) -> None:
    _let_in(lab, "somebody else's")
    clock = FakeClock()
    events: list[Event] = []
    with pytest.raises(PartialFailureError) as caught:
        events.extend(reconcile(lab.client, fleet(("a", A, "gpu new")), ATTESTED, clock=clock, trial_timeout=20))
    assert caught.value.failures == {f"a ({A})": f"the agent that claims {A} is not the one on a"}
    assert clock.time == pytest.approx(20)
    agent = lab.agent(A)
    assert (agent.authorized, agent.disabled, agent.group_names) == (False, True, {"all", "gpu"})

    # Whoever claims the address next is asked anew.
    again = FakeClock(steps=[lambda: lab.tell(A, kraken_fleet_nonce="nonce-a")])
    list(reconcile(lab.client, fleet(("a", A, "gpu new")), ATTESTED, clock=again))
    agent = lab.agent(A)
    assert (agent.authorized, agent.enabled, agent.group_names) == (True, True, {"all", "gpu", "new"})


def test_an_authorized_agent_with_a_wrong_nonce_is_unauthorized_at_once(lab: Lab) -> None:
    _let_in(lab, "old")
    clock = FakeClock(steps=[lambda: lab.tell(A, kraken_fleet_nonce="a guess")])
    with pytest.raises(PartialFailureError):
        list(reconcile(lab.client, fleet(("a", A, "gpu")), ATTESTED, clock=clock))
    assert clock.time == pytest.approx(1)
    assert not lab.agent(A).authorized


def test_agents_come_into_groups_by_what_they_can_do(lab: Lab) -> None:
    for address in (A, B):
        lab.speak(address)
    rule = TrustRule(frozenset({"docker"}), ("127.0.0.0/8",), executors=frozenset({"docker"}))

    def answers() -> None:
        lab.tell(A, docker="27.1")
        lab.tell(B)

    policy = PlanPolicy(trust=(RulesTrust((rule,)),))
    with pytest.raises(PartialFailureError) as caught:
        list(reconcile(lab.client, fleet(), policy, clock=FakeClock(steps=[answers])))
    assert caught.value.failures == {B: "no rule holds: it lacks the executor docker"}
    assert (lab.agent(A).enabled, lab.agent(A).group_names) == (True, {"all", "docker"})
    assert not lab.agent(B).authorized


def test_a_plan_with_trials_is_refused_without_their_policy(lab: Lab) -> None:
    lab.speak(A)
    plan = make_plan(fleet(("a", A, "")), observe(lab.client), ATTESTED, now=lab.client.server_time())
    with pytest.raises(PlanError, match="its policy attested is not given"):
        list(apply(lab.client, plan))
    assert lab.writes == []
