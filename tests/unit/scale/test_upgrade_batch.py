"""A batch of an upgrade on a real server: who is out of service meanwhile, and afterwards, however it ends."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.errors import FleetError, StoppedError
from kraken_fleet.model import DesiredFleet, Owner, is_own_group
from kraken_fleet.proof import GroupProof, HostProofs
from kraken_fleet.reconcile import reconcile
from kraken_fleet.reconcile.owner import owner_of
from kraken_fleet.reconcile.upgrade import left_out_of_service, who_is_out
from kraken_fleet.scale import upgrade_batch
from kraken_fleet.scale.events import Output
from kraken_fleet.scale.upgrade_batch import Batch, Result, Results
from kraken_fleet.scale.upgrade_limits import Limits
from tests.unit.reconcile.lab import Lab, fleet, running_lab

ADDRESSES = ["127.0.0.31", "127.0.0.32", "127.0.0.33"]
FLEET = fleet(*((f"h{number}", address, "gpu") for number, address in enumerate(ADDRESSES)))
ME = owner_of(os.getpid())


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Three agents of one group, that run no jobs."""
    with running_lab(tmp_path / "server", monkeypatch) as lab:
        for address in ADDRESSES:
            lab.speak(address)
        list(reconcile(lab.client, FLEET))
        yield lab


def disabled(lab: Lab) -> set[str]:
    return {f"h{number}" for number, address in enumerate(ADDRESSES) if lab.agent(address).disabled}


@dataclass
class Slices:
    """Slices of which each host may have been begun, if nothing else is said."""

    run: Any
    hosts: Collection[str] = ("h0", "h1", "h2")

    def begun(self) -> Collection[str]:
        return self.hosts


def upgraded(hosts: Mapping[str, Mapping[str, Any]]) -> Results:
    yield Output("working")
    return {host: {"changed": True} for host in hosts}


def batch(lab: Lab, work: Any) -> Batch:
    found: Mapping[str, Result] = {f"h{number}": {"changed": True, "agents": []} for number in range(3)}
    return Batch(lab.client, ME, Limits(verify_timeout=1, drain_timeout=2), FLEET, found, Slices(work))


def test_the_agents_of_a_batch_are_disabled_while_its_slices_work_and_no_others(three: Lab) -> None:
    seen: list[set[str]] = []

    def work(hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        seen.append(disabled(three))
        yield Output("working")
        return {host: {"failed": "the disk is full", "unreachable": True} for host in hosts}

    made = batch(three, work)
    told = [event.line for event in made.run(["h0", "h1"]) if isinstance(event, Output)]
    assert seen == [{"h0", "h1"}]
    assert sorted(told) == ["h0: drained", "h1: drained", "working"]
    assert made.failures.keys() == {"h0", "h1"}
    assert made.failures["h0"]["unreachable"] is True
    assert str(made.failures["h0"]["failed"]).startswith("The upgrade did not work: the disk is full. Its agent stays")
    assert disabled(three) == {"h0", "h1"}, "nobody knows that they work"
    assert not any(is_own_group(group.name) for group in three.client.groups())


def test_a_host_that_no_job_has_proven_goes_back_and_stays_disabled_unproven(three: Lab) -> None:
    asked: list[Mapping[str, Mapping[str, Any]]] = []

    def work(hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        asked.append(hosts)
        yield Output("working")
        return {host: {"changed": True} for host in hosts}

    made = batch(three, work)
    made.found = {"h0": {"changed": True, "agents": [{"name": "", "release": "1.0-abc"}]}}
    list(made.run(["h0"]))
    assert asked == [{"h0": {}}, {"h0": {"kraken_agent_releases": {"": "1.0-abc"}}}]
    assert "Its agent stays disabled: agent" in str(made.failures["h0"]["failed"])
    assert disabled(three) == {"h0"}


def test_agents_stay_marked_when_nobody_runs_their_slices_any_more(three: Lab) -> None:
    def work(_hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        yield Output("working")
        raise FleetError("The scheduler has ended", where="tls://here:1")

    with pytest.raises(FleetError, match=r"These agents stay disabled, .*: h0, h1\. Run the same command again"):
        list(batch(three, work).run(["h0", "h1"]))
    ended = Owner(ME.host, ME.pid, ME.started + 1)
    out = who_is_out(three.client, ended)
    assert out.others, "their owner lives, so another upgrade does not take them for left"
    assert left_out_of_service(three.client.agents(), out) == []
    assert disabled(three) == {"h0", "h1"}


def test_interrupted_slices_give_back_what_was_not_begun_and_name_the_rest(three: Lab) -> None:
    def work(_hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        yield Output("working")
        raise KeyboardInterrupt

    made = batch(three, work)
    made.slices = Slices(work, {"h1"})
    with pytest.raises(
        StoppedError, match=r"These agents stay disabled, .*: h1\. Run the same command again"
    ) as stopped:
        list(made.run(["h0", "h1"]))
    assert stopped.value.exit_code == 130
    assert disabled(three) == {"h1"}
    # The next upgrade, of another process, finds it.
    ended = Owner(ME.host, ME.pid, ME.started + 1)
    assert [agent.address for agent in three.client.agents() if agent.disabled] == ["127.0.0.32"]
    assert who_is_out(three.client, ended).others


def test_an_upgrade_that_is_closed_while_slices_work_says_whose_agents_stay_disabled(three: Lab) -> None:
    def work(_hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        yield Output("working")
        raise AssertionError("nobody goes on")

    running = batch(three, work).run(["h0", "h1"])
    for event in running:
        if event == Output("working"):
            break
    with pytest.raises(StoppedError, match=r": h0, h1\. Run the same"):
        running.close()
    assert disabled(three) == {"h0", "h1"}


def test_proven_agents_come_back_when_the_other_proofs_are_interrupted(
    three: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proofs(_client: object, of: DesiredFleet, *_more: object, found: HostProofs, **_how: object) -> None:
        first = next(one for one in of.agents if one.host == "h0")
        found.add(first, three.agent(first.address), GroupProof("proof", 1, first.label, 0.1, "line"))
        raise KeyboardInterrupt

    monkeypatch.setattr(upgrade_batch, "prove_hosts", proofs)
    with pytest.raises(StoppedError, match=r": h1\. Run the same"):
        list(batch(three, upgraded).run(["h0", "h1"]))
    assert disabled(three) == {"h1"}


def test_agents_that_went_back_stay_disabled_when_no_job_can_prove_them(
    three: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[set[str]] = []

    def proofs(_client: object, of: DesiredFleet, *_more: object, found: HostProofs, **_how: object) -> None:
        tried.append({one.host for one in of.agents})
        if len(tried) == 1:
            found.failures = {"h0": "it does not start"}
        found.trouble, found.unproven = "status 500", {one.host for one in of.agents} - found.failures.keys()

    monkeypatch.setattr(upgrade_batch, "prove_hosts", proofs)
    made = batch(three, upgraded)
    made.found = {host: {"changed": True, "agents": [{"name": "", "release": "1.0-abc"}]} for host in ("h0", "h1")}
    list(made.run(["h0", "h1"]))
    assert tried == [{"h0", "h1"}, {"h0"}]
    assert "no job has proven it since, for the server failed: status 500" in str(made.failures["h0"]["failed"])
    assert "The host is upgraded and has jobs as before" in str(made.failures["h1"]["failed"])
    assert disabled(three) == {"h0"}


def test_agents_come_back_when_they_could_not_be_drained(three: Lab) -> None:
    three.start_job()
    job = next(address for address in ADDRESSES if three.speak(address)["job"])
    busy = f"h{ADDRESSES.index(job)}"

    def work(_hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        raise AssertionError("nobody is to be upgraded")

    made = batch(three, work)
    told = [event.line for event in made.run([busy]) if isinstance(event, Output)]
    assert told[0].startswith(f"{busy}: runs job ")
    assert told[-1] == f"{busy}: enabled"
    assert "still runs a job after 2 s" in str(made.failures[busy]["failed"])
    assert disabled(three) == set()


def test_agents_come_back_when_somebody_stops_the_upgrade_while_they_are_drained(three: Lab) -> None:
    three.start_job()
    job = next(address for address in ADDRESSES if three.speak(address)["job"])
    running = batch(three, None).run([f"h{ADDRESSES.index(job)}"])
    next(running)
    assert len(disabled(three)) == 1
    running.close()
    assert disabled(three) == set()


def test_a_host_whose_agent_the_server_does_not_know_is_left_as_it_is(three: Lab) -> None:
    three.client.delete_agent(three.agent(ADDRESSES[2]).id)
    worked: list[str] = []

    def work(hosts: Mapping[str, Mapping[str, Any]]) -> Results:
        worked.extend(hosts)
        yield Output("working")
        return {host: {"failed": "no"} for host in hosts}

    made = batch(three, work)
    list(made.run(["h1", "h2"]))
    assert worked == ["h1"]
    assert "the server has no authorized agent with its address" in str(made.failures["h2"]["failed"])
