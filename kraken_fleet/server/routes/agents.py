"""Agents: lists, authorization in bulk, groups, enabling, deletion."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends
from sqlalchemy import Connection, Table, asc, bindparam, delete, desc, insert, select, update
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.attributes import set_committed_value
from starlette.responses import Response

from kraken_fleet.model import ALL_GROUP
from kraken_fleet.server.agents.identity import take_peer
from kraken_fleet.server.agents.scheduler import assign
from kraken_fleet.server.clock import now
from kraken_fleet.server.core import Core
from kraken_fleet.server.flows.jobs import queue_again
from kraken_fleet.server.rest.access import CoreDep, admin
from kraken_fleet.server.rest.bodies import body
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render import agent_json
from kraken_fleet.server.rest.render_jobs import job_json
from kraken_fleet.server.routes.common import answer, need, page
from kraken_fleet.server.store.tables import Agent, AgentsGroup, Assignment, Job

router = APIRouter()
_SORTABLE = {name: getattr(Agent, name) for name in ("last_seen", "ip_address", "name", "address", "id")}
Changes = Annotated[Any, Depends(body([{"id": "integer", "authorized": "boolean"}]))]
Change = Annotated[Any, Depends(body({"groups": [{"id": "integer"}], "disabled": "boolean"}))]


@router.get("/agents", dependencies=[Depends(admin("only superadmin can get agents"))])
async def agents(
    core: CoreDep,
    unauthorized: bool = False,  # noqa: FBT001, FBT002 a query parameter
    start: int = 0,
    limit: int = 10,
    sort_field: str = "name",
    sort_dir: str = "asc",
) -> Response:
    # A list can be sorted by `last_seen`, which the database gets in batches only: so the batch is written first.
    with core.db.write() as session:
        core.roster.write_seen(session)
    turn = desc if sort_dir == "desc" and sort_field in _SORTABLE else asc
    query = (
        select(Agent)
        .where(Agent.deleted.is_(None), Agent.authorized.is_(not unauthorized))
        .order_by(turn(_SORTABLE.get(sort_field, Agent.name)), Agent.id)
        .options(selectinload(Agent.assignments), selectinload(Agent.job))
    )
    with core.db.read() as session:
        return page(core, session, query, start, limit, lambda agent: agent_json(agent, core.roster))


@router.patch("/agents", dependencies=[Depends(admin("only superadmin can modify agents"))])
async def authorize(core: CoreDep, changes: Changes) -> Response:
    with core.db.write() as session:
        if not all("id" in change for change in changes):
            raise Problem(500)
        found = _agents(session, [item["id"] for item in changes])
        everybody = _group_all(session)
        for agent, change in zip(found, changes, strict=True):
            if "authorized" in change:
                _authorize(core, session, agent, everybody, authorized=change["authorized"])
        assign(session, core)
    return answer({})


def _agents(session: Session, ids: list[int]) -> list[Agent]:
    """Return the agents of these ids in this order, with their groups, all in two queries."""
    query = select(Agent).where(Agent.id.in_(set(ids))).options(selectinload(Agent.assignments))
    found = {agent.id: agent for agent in session.scalars(query)}
    for agent_id in ids:
        if agent_id not in found:
            raise Problem(400, f"Cannot find agent {agent_id}")
    return [found[agent_id] for agent_id in ids]


def _authorize(core: Core, session: Session, agent: Agent, everybody: AgentsGroup | None, *, authorized: bool) -> None:
    already = everybody is None or any(place.group_id == everybody.id for place in agent.assignments)
    if authorized and everybody is not None and not already:
        if agent in session.info.setdefault("joined", set()):
            raise Problem(500)  # the same agent twice in one list: the real server breaks on that
        session.info["joined"].add(agent)
        session.add(Assignment(agent_id=agent.id, group=everybody))
    if authorized and agent.authorized:
        take_peer(core, agent)
    else:
        core.roster.accept_refused(agent.id)
    if not authorized:
        queue_again(agent, f"agent {agent.name} is not authorized any more, queued again")
    agent.authorized = authorized


def _group_all(session: Session) -> AgentsGroup | None:
    found = session.scalars(select(AgentsGroup).where(AgentsGroup.name == ALL_GROUP)).all()
    if len(found) > 1:
        raise Problem(500)  # `all` was deleted and made again: the real server never recovers from that either
    return found[0] if found else None


@router.get("/agents/{agent_id:int}", dependencies=[Depends(admin("only superadmin can get agent"))])
async def agent(core: CoreDep, agent_id: int) -> Response:
    with core.db.read() as session:
        found = need(session, Agent, agent_id, f"Cannot find agent with id {agent_id}", 400)
        return answer(agent_json(found, core.roster))


@router.put("/agents/{agent_id:int}", dependencies=[Depends(admin("only superadmin can modify an agent"))])
async def change_agent(core: CoreDep, agent_id: int, change: Change) -> Response:
    with core.db.write() as session:
        found = need(session, Agent, agent_id, "Agent not found")
        groups = [dict(group) for group in session.connection().execute(_GROUPS, {"agent": agent_id}).mappings()]
        if "groups" in change:
            groups = _regroup(session.connection(), agent_id, change["groups"], groups)
        if "disabled" in change:
            session.connection().execute(_DISABLE, {"agent": agent_id, "to": change["disabled"]})
            set_committed_value(found, "disabled", change["disabled"])
        assign(session, core)
        return answer(agent_json(found, core.roster, groups))


# A fleet's registration is one PUT for each agent. Written past the ORM, it costs a third; the roster, which follows
# the ORM's changes, keeps nothing about groups and disabling.
_AGENTS, _PLACES, _TEAMS = (cast(Table, kind.__table__) for kind in (Agent, Assignment, AgentsGroup))
_DISABLE = update(_AGENTS).where(_AGENTS.c.id == bindparam("agent")).values(disabled=bindparam("to"))
_LEAVE = delete(_PLACES).where(_PLACES.c.agent_id == bindparam("agent"), _PLACES.c.group_id == bindparam("group"))
_JOIN = insert(_PLACES)
_KNOWN = select(_TEAMS.c.id, _TEAMS.c.name).where(_TEAMS.c.id.in_(bindparam("ids", expanding=True)))
_GROUPS = (
    select(_TEAMS.c.id, _TEAMS.c.name)
    .join(_PLACES, _PLACES.c.group_id == _TEAMS.c.id)
    .where(_PLACES.c.agent_id == bindparam("agent"))
    .order_by(_PLACES.c.id)
)


def _regroup(
    connection: Connection, agent_id: int, wanted: list[dict[str, Any]], present: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Make these the agent's groups, and return them; one that it is in already keeps its place."""
    ids = dict.fromkeys(item["id"] for item in wanted if item.get("id", 2**63) < 2**63)
    known = {row.id: row.name for row in connection.execute(_KNOWN, {"ids": list(ids)})} if ids else {}
    for item in wanted:
        if "id" not in item:
            raise Problem(500)
        if item["id"] not in known:
            raise Problem(404, f"Agents Group with id {item} not found")
    stay = [group for group in present if group["id"] in ids]
    if left := [group["id"] for group in present if group["id"] not in ids]:
        connection.execute(_LEAVE, [{"agent": agent_id, "group": group_id} for group_id in left])
    if joined := [group_id for group_id in ids if group_id not in {group["id"] for group in present}]:
        connection.execute(_JOIN, [{"agent_id": agent_id, "group_id": group_id} for group_id in joined])
    return [*stay, *({"id": group_id, "name": known[group_id]} for group_id in joined)]


@router.delete("/agents/{agent_id:int}", dependencies=[Depends(admin("only superadmin can delete an agent"))])
async def delete_agent(core: CoreDep, agent_id: int) -> Response:
    with core.db.write() as session:
        found = need(session, Agent, agent_id, "Agent not found")
        queue_again(found, f"agent {found.name} was deleted, queued again")
        found.deleted, found.authorized, found.disabled = now(), False, True
        found.assignments = []
        assign(session, core)
        core.deletions.append((agent_id, found.deleted))
    return answer({})


@router.get("/agents/{agent_id:int}/jobs", dependencies=[Depends(admin("only superadmin role can get agent jobs"))])
async def agent_jobs(core: CoreDep, agent_id: int, start: int = 0, limit: int = 10) -> Response:
    query = select(Job).where(Job.agent_id == agent_id).order_by(desc(Job.id))
    with core.db.read() as session:
        return page(core, session, query, start, limit, job_json)
