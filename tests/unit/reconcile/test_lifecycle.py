"""Draining, enabling and removing agents, on a real embedded server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kraken_fleet.errors import PartialFailureError
from kraken_fleet.reconcile import Draining, drain, enable, reconcile, remove
from tests.fake_clock import FakeClock
from tests.unit.reconcile.lab import Lab, fleet, kinds

A, B = "127.0.0.21", "127.0.0.22"


@pytest.fixture
def busy(lab: Lab) -> Lab:
    """Two agents, one of which runs a job."""
    for address in (A, B):
        lab.speak(address)
    list(reconcile(lab.client, fleet(("a", A, "gpu"), ("b", B, ""))))
    for address in (A, B):
        lab.tell(address)
    lab.start_job()
    assert lab.speak(A, "get-job")["job"]["name"] == "j"
    return lab


def _finish(lab: Lab) -> None:
    index = lab.speak(A, "get-job-step")["job_step"]["index"]
    lab.speak(A, "step-result2", job_id=lab.agent(A).job.id, step_idx=index, result={"status": "done"})  # type: ignore[union-attr]
    lab.speak(A, "get-job-step")


def test_draining_waits_until_the_job_has_ended(busy: Lab) -> None:
    clock = FakeClock(steps=[lambda: None, lambda: _finish(busy)])
    events = list(drain(busy.client, busy.client.agents(), 60, clock=clock))
    assert any(isinstance(event, Draining) and list(event.busy) == [A] for event in events)
    assert [event.subject for event in events if event.kind == "changed"] == [B, A]  # type: ignore[attr-defined]
    assert all(agent.disabled for agent in busy.client.agents())


def test_draining_past_the_deadline_names_who_is_still_busy_and_leaves_it_disabled(busy: Lab) -> None:
    with pytest.raises(PartialFailureError) as caught:
        list(drain(busy.client, busy.client.agents(), 5, clock=FakeClock()))
    assert caught.value.failures == {A: "still runs a job after 5 s; it is disabled and gets no other"}
    assert busy.agent(A).disabled
    assert busy.agent(A).job


def test_enabling_lets_agents_have_jobs_again(busy: Lab) -> None:
    busy.client.disable_agent(busy.agent(B).id)
    assert kinds(enable(busy.client, [busy.agent(B)])) == ["changed"]
    assert busy.agent(B).enabled


def test_removing_deletes_records_and_names_those_that_cannot_be(busy: Lab) -> None:
    missing = replace(busy.agent(B), id=999, name="missing")
    with pytest.raises(PartialFailureError) as caught:
        list(remove(busy.client, [busy.agent(B), missing]))
    assert list(caught.value.failures) == ["missing"]
    assert [agent.address for agent in busy.client.agents()] == [A]
