"""Agents groups: who is in them, which jobs wait for them, and where the inventory asks for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, Response

from kraken_fleet.model import ALL_GROUP, Agent, AgentsGroup, DesiredFleet, Job
from kraken_fleet.plan import stranded
from kraken_fleet.reconcile.waiting_jobs import waiting_jobs
from kraken_fleet.web.context import Changing, SignedIn
from kraken_fleet.web.desired import desired_fleet

router = APIRouter()


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group with all that the page shows of it."""

    group: AgentsGroup
    members: int
    systems: Mapping[str, int]
    running: int
    waiting: Sequence[Job]
    stranded: int
    origins: tuple[str, ...]

    @property
    def fixed(self) -> bool:
        return self.group.name == ALL_GROUP

    @property
    def settings(self) -> Mapping[str, object]:
        """How Kraken makes the group's agents in a cloud: a secret is named only. Empty where hosts are its agents."""
        told = self.group.deployment.shown() if self.group.deployment else {}
        return {name: value for name, value in told.items() if name != "method"}


@router.get("/groups")
def list_groups(visit: SignedIn) -> HTMLResponse:
    snapshot = visit.snapshot()
    wanted = desired_fleet(visit.console.settings)
    rows = _rows(snapshot.groups, snapshot.agents, wanted, waiting_jobs(visit.client))
    return visit.page("groups.html", rows=rows, snapshot=snapshot)


@router.post("/groups/create")
def create(change: Changing, name: Annotated[str, Form()] = "") -> Response:
    if name.strip():
        change.do("create group", name.strip(), change.client.create_group, name.strip())
    else:
        change.session.notice = "A group needs a name"
    return change.back_to("/groups")


@router.post("/groups/{group_id:int}/rename")
def rename(change: Changing, group_id: int, name: Annotated[str, Form()] = "") -> Response:
    if name.strip():
        change.do("rename group to", name.strip(), change.client.rename_group, group_id, name.strip())
    else:
        change.session.notice = "A group needs a name"
    return change.back_to("/groups")


@router.post("/groups/{group_id:int}/delete")
def delete(change: Changing, group_id: int) -> Response:
    name = next((group.name for group in change.snapshot().groups if group.id == group_id), str(group_id))
    change.do("delete group", name, change.client.delete_group, group_id)
    return change.back_to("/groups")


def _rows(
    groups: Sequence[AgentsGroup], agents: Iterable[Agent], wanted: DesiredFleet, waiting: Iterable[Job]
) -> list[GroupRow]:
    members: dict[str, list[Agent]] = {}
    for agent in agents:
        for name in agent.group_names:
            members.setdefault(name, []).append(agent)
    origins, waits = _origins(wanted), _by_group(waiting)
    nobodys = _by_group(stranded(waiting, agents, groups))
    return [
        GroupRow(
            group=group,
            members=len(members.get(group.name, [])),
            systems=Counter(agent.host_info.system for agent in members.get(group.name, []) if agent.host_info),
            running=sum(agent.job is not None for agent in members.get(group.name, [])),
            waiting=waits.get(group.name, []),
            stranded=len(nobodys.get(group.name, [])),
            origins=tuple(sorted(origins.get(group.name, ()))),
        )
        for group in sorted(groups, key=lambda group: group.name)
    ]


def _by_group(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.agents_group_name or "", []).append(job)
    return found


def _origins(wanted: DesiredFleet) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for agent in wanted.agents:
        for group, reason in agent.reasons:
            found.setdefault(group, set()).add(reason)
    for declared in wanted.declared_groups:
        found.setdefault(declared.name, set()).add("kraken_registration_groups")
    return found
