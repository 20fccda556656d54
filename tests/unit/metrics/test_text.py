"""A reading as metrics: their values, and how many there are at most."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from kraken_fleet.metrics import failed_text, text
from kraken_fleet.metrics.text import MOST_AGENTS, MOST_GROUPS
from kraken_fleet.model import (
    Agent,
    AgentsGroup,
    Deploy,
    DesiredAgent,
    DesiredFleet,
    HostInfo,
    HostNames,
    HostResult,
    Job,
    ObservedFleet,
)
from kraken_fleet.plan import make_plan
from kraken_fleet.reconcile import Reading
from tests.unit.web.model_builders import NOW, an_agent

Samples = dict[str, dict[tuple[str, ...], float]]


def _samples(content: bytes) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def _job(number: int, group: str, minutes: float = 0) -> Job:
    return Job(number, "j", 2, agents_group_name=group, created=NOW - timedelta(minutes=minutes))


def test_agents_are_counted_by_state_group_system_and_version() -> None:
    info = HostInfo(system="debian-12", extra={"kraken_fleet_version": "0.1.0"})
    agents = (
        dataclasses.replace(an_agent(1, groups=("all", "gpu")), host_info=info),
        an_agent(2, groups=("all", "gpu"), disabled=True),
        an_agent(3, silent_for=600),
        an_agent(4, authorized=False),
    )
    found = _samples(text(Reading(NOW, agents, groups=(AgentsGroup(9, "empty"),))))
    states = {"idle": 1, "disabled": 1, "silent": 1, "discovered": 1, "busy": 0, "draining": 0}
    assert found["kraken_fleet_agents"] == {(state,): count for state, count in states.items()}
    in_groups = found["kraken_fleet_group_agents"]
    assert {key: in_groups[key] for key in [("gpu", "idle"), ("gpu", "disabled"), ("empty", "idle")]} == {
        ("gpu", "idle"): 1,
        ("gpu", "disabled"): 1,
        ("empty", "idle"): 0,
    }
    assert found["kraken_fleet_system_agents"] == {("debian-12",): 3}
    assert found["kraken_fleet_version_agents"] == {("0.1.0",): 1, ("unknown",): 2}
    assert found["kraken_fleet_server_up"] == {(): 1}


def test_jobs_are_counted_by_group_with_the_age_of_the_oldest() -> None:
    waiting = (_job(1, "gpu", 5), _job(2, "gpu", 30), _job(3, "arm"))
    reading = Reading(NOW, (), (AgentsGroup(9, "idle"),), waiting, waiting[2:], (_job(4, "gpu"), _job(5, "")))
    found = _samples(text(dataclasses.replace(reading, complete=False)))
    assert found["kraken_fleet_jobs_waiting"] == {("gpu",): 2, ("arm",): 1, ("idle",): 0}
    assert found["kraken_fleet_jobs_stranded"] == {("arm",): 1, ("idle",): 0}
    assert found["kraken_fleet_jobs_running"] == {("gpu",): 1, ("unknown",): 1, ("idle",): 0}
    assert found["kraken_fleet_jobs_oldest_waiting_seconds"] == {("gpu",): 1800, ("arm",): 0}
    assert found["kraken_fleet_jobs_complete"] == {(): 0}


def test_each_agent_says_since_when_it_is_silent_by_the_inventorys_name() -> None:
    names = HostNames({"10.0.0.1": DesiredAgent("build-1", "10.0.0.1")})
    found = _samples(text(Reading(NOW, (an_agent(1, silent_for=7), an_agent(2)), names=names)))
    assert found["kraken_fleet_agent_last_seen_seconds"] == {("10.0.0.1", "build-1"): 7, ("10.0.0.2", ""): 3}


def test_there_are_no_more_series_than_promised_and_the_longest_silent_agents_stay() -> None:
    agents = tuple(
        an_agent(number, address=f"h{number}", groups=("all", f"g{number}"), silent_for=number) for number in range(700)
    )
    found = _samples(text(Reading(NOW, agents)))
    seen = found["kraken_fleet_agent_last_seen_seconds"]
    assert len(seen) == MOST_AGENTS
    assert ("h699", "") in seen
    assert ("h0", "") not in seen
    assert found["kraken_fleet_agents_not_listed"] == {(): 700 - MOST_AGENTS}
    groups = {group for group, _ in found["kraken_fleet_group_agents"]}
    assert len(groups) == MOST_GROUPS + 1
    assert {"all", "other"} <= groups
    assert sum(count for (group, _), count in found["kraken_fleet_group_agents"].items() if group == "all") == 700


def test_findings_and_drift_are_told_only_against_an_inventory() -> None:
    desired = DesiredFleet((DesiredAgent("a", "10.0.0.9"), DesiredAgent("b", "10.0.0.1", frozenset({"gpu"}))))
    observed = ObservedFleet((an_agent(1),), (AgentsGroup(1, "all"),))
    plan = make_plan(desired, observed, now=NOW)
    found = _samples(text(Reading(NOW, observed.agents, plan=plan)))
    assert found["kraken_fleet_findings"] == {("never_seen", "warning"): 1}
    assert found["kraken_fleet_changes"] == {("create_group",): 1, ("set_groups",): 1}
    assert found["kraken_fleet_drift"] == {(): 2}
    assert "kraken_fleet_drift" not in _samples(text(Reading(NOW, observed.agents)))


def test_what_agents_say_of_themselves_stays_one_label() -> None:
    agent = dataclasses.replace(an_agent(1), host_info=HostInfo(system='x"} 1\nup 7\\'))
    found = _samples(text(Reading(NOW, (agent,))))
    assert found["kraken_fleet_system_agents"] == {('x"} 1\nup 7\\',): 1}
    assert "up" not in found


def test_a_server_that_cannot_be_read_is_said_to_be_down() -> None:
    assert _samples(failed_text()) == {"kraken_fleet_server_up": {(): 0}}


def test_agents_without_room_are_counted_and_the_fullest_disks_are_shown() -> None:
    def with_disk(number: int, free: int, **more: object) -> Agent:
        extra = {"kraken_fleet_host": {"disk": 1000, "disk_free": free}, **more}
        return dataclasses.replace(an_agent(number), host_info=HostInfo(extra=extra))

    agents = (with_disk(1, 10, kraken_fleet_no_jobs="full"), with_disk(2, 250), an_agent(3))
    found = _samples(text(Reading(NOW, agents)))
    assert found["kraken_fleet_agents_without_room"] == {(): 1}
    ratios = {address: round(ratio, 3) for (address, _), ratio in found["kraken_fleet_agent_disk_free_ratio"].items()}
    assert ratios == {"10.0.0.1": 0.01, "10.0.0.2": 0.25}


def test_past_playbook_runs_are_counted_and_the_last_of_each_is_told() -> None:
    good, bad = HostResult(ok=3), HostResult(failed=1)
    deploys = [
        Deploy("deploy-agents.yml", "2026-05-04T11:00:00Z", 30.0, check=True, hosts={"a": bad}),
        Deploy("playbooks/deploy-agents.yml", "2026-05-04T10:00:00Z", 20.0, hosts={"a": good, "b": bad}),
        Deploy("deploy-agents.yml", "2026-05-04T09:00:00Z", 10.0, hosts={"a": bad, "c": bad}),
        Deploy("drain-agents.yml", "no time", 5.0, hosts={"a": good}),
    ]
    found = _samples(text(Reading(NOW, ()), deploys=deploys))
    name = "deploy-agents.yml"
    assert found["kraken_fleet_deploys"] == {(name, "failed"): 2, ("drain-agents.yml", "ok"): 1}
    assert found["kraken_fleet_deploy_last_timestamp_seconds"] == {(name,): (NOW - timedelta(hours=2)).timestamp()}
    assert found["kraken_fleet_deploy_last_seconds"] == {(name,): 20, ("drain-agents.yml",): 5}
    assert found["kraken_fleet_deploy_last_hosts"][(name, "failed")] == 1
    assert found["kraken_fleet_deploy_failed_hosts"] == {(): 2}
