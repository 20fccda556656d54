"""Reading and writing of the case files in tests/cases/plan: a desired fleet, an observed one, a policy, the answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kraken_fleet.model import (
    Agent,
    AgentsGroup,
    Deployment,
    DesiredAgent,
    DesiredFleet,
    DesiredGroup,
    GroupRef,
    HostInfo,
    Job,
    JobRef,
    JobState,
    ObservedFleet,
    TrustRule,
    UncheckedUpdates,
    UnreadFile,
)
from kraken_fleet.plan import (
    AttestedTrust,
    CidrTrust,
    GroupsMode,
    InventoryTrust,
    Plan,
    PlanPolicy,
    Prune,
    RulesTrust,
    TrustPolicy,
    plan_to_dict,
)

CASES = Path(__file__).parents[2] / "cases" / "plan"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JUST_NOW = NOW - timedelta(seconds=5)


def read_cases() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CASES.glob("*.json"))}


def desired(case: dict[str, Any]) -> DesiredFleet:
    found = case["desired"]
    agents = tuple(_desired_agent(item) for item in found["agents"])
    unread = tuple(UnreadFile(path, tuple(names)) for path, names in found.get("unread_files", {}).items())
    updates = tuple(UncheckedUpdates(host, server) for host, server in found.get("unchecked_updates", {}).items())
    declared = tuple(DesiredGroup(name, _deployment(item)) for name, item in found.get("declared_groups", {}).items())
    return DesiredFleet(agents, found.get("complete", True), unread, updates, declared)


def observed(case: dict[str, Any]) -> ObservedFleet:
    found = case["observed"]
    groups = {"all": 1, **found.get("groups", {})}
    living = tuple(
        AgentsGroup(
            id=number,
            name=name.partition("#")[0],
            agents_count=found.get("counts", {}).get(name, 0),
            deployment=_deployment(found.get("deployments", {}).get(name, {"method": "manual"})),
        )
        for name, number in groups.items()
        if number
    )
    deleted = tuple(AgentsGroup(id=i, name=name, deleted=NOW) for i, name in found.get("deleted_groups", []))
    jobs = tuple(
        Job(number, f"j{number}", JobState.QUEUED, agents_group_name=name)
        for number, name in enumerate(found.get("jobs_wait_for", []), 1)
    )
    agents = tuple(_agent(item, groups) for item in found["agents"])
    return ObservedFleet(
        agents,
        living,
        NOW,
        deleted,
        jobs,
        found.get("all_jobs_seen", True),
        earlier_peers=found.get("earlier_peers", {}),
        clock_ahead=timedelta(seconds=found.get("clock_ahead", 0)),
    )


def policy(case: dict[str, Any]) -> PlanPolicy:
    found = dict(case.get("policy", {}))
    if "trust" in found:
        found["trust"] = tuple(_trust(item) for item in found["trust"])
    if "prune" in found:
        found["prune"] = Prune(found["prune"])
    if "groups_mode" in found:
        found["groups_mode"] = GroupsMode(found["groups_mode"])
    return PlanPolicy(**found)


def answer(plan: Plan) -> dict[str, Any]:
    """What a case expects: changes in words, findings as `kind subject`, and why pruning was refused."""
    told: dict[str, Any] = {
        "actions": [action.describe() for action in plan.actions],
        "findings": sorted(f"{finding.kind} {finding.subject}" for finding in plan.findings),
    }
    if plan.prune.refused:
        told["refused"] = plan.prune.refused
    assert json.dumps(plan_to_dict(plan))
    return told


def _deployment(item: dict[str, Any] | None) -> Deployment | None:
    return Deployment.of(item["method"], item) if item else None


def _desired_agent(item: dict[str, Any]) -> DesiredAgent:
    sets: dict[str, Any] = {name: frozenset(item[name]) for name in ("groups", "executors") if name in item}
    return DesiredAgent(**{"host": item["address"], **item, **sets})


def _agent(item: dict[str, Any], groups: dict[str, int]) -> Agent:
    refs = []
    for name in item.get("groups", []):
        text, _, number = name.partition("@")
        refs.append(GroupRef(int(number) if number else groups[text], text.partition("#")[0]))
    seen = NOW - timedelta(minutes=item["seen_minutes_ago"]) if "seen_minutes_ago" in item else JUST_NOW
    return Agent(
        id=item["id"],
        name=item["address"],
        address=item["address"],
        ip_address=item.get("ip", item["address"]),
        authorized=item.get("authorized", True),
        disabled=item.get("disabled", False),
        groups=tuple(refs),
        host_info=HostInfo.from_json(item["info"]) if "info" in item else None,
        job=JobRef(item["job"]) if "job" in item else None,
        last_seen=seen,
        extra_attrs={"refused_peer": item["refused_peer"]} if "refused_peer" in item else {},
    )


def _trust(item: dict[str, Any]) -> TrustPolicy:
    kind = item["policy"]
    if kind == "cidr":
        return CidrTrust(tuple(item["networks"]), frozenset(item.get("groups", [])))
    if kind == "rules":
        return RulesTrust(tuple(_rule(rule) for rule in item["rules"]))
    if kind == "attested":
        return AttestedTrust(item["nonces"])
    after = item.get("seen_after_minutes_ago", {})
    return InventoryTrust({host: NOW - timedelta(minutes=minutes) for host, minutes in after.items()})


def _rule(item: dict[str, Any]) -> TrustRule:
    return TrustRule(
        frozenset(item["groups"]),
        tuple(item["networks"]),
        tuple(item.get("systems", [])),
        frozenset(item.get("executors", [])),
    )
