"""Agents groups and systems. What the real server lets happen to names, this one does too: clients have to guard."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import select
from starlette.responses import Response

from kraken_fleet.server.clock import now
from kraken_fleet.server.intake import LARGEST
from kraken_fleet.server.rest.access import CoreDep, SignedIn, admin
from kraken_fleet.server.rest.bodies import body
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render import group_json, system_json
from kraken_fleet.server.routes.common import answer, need, page
from kraken_fleet.server.store.tables import AgentsGroup, Project, System

router = APIRouter()
Wanted = Annotated[Any, Depends(body({"name": "string", "project_id": "integer", "deployment": "object"}))]


@router.get("/groups", dependencies=[Depends(admin("only superadmin can get agents groups"))])
async def groups(core: CoreDep, start: int = 0, limit: int = 10) -> Response:
    query = select(AgentsGroup).where(AgentsGroup.deleted.is_(None)).order_by(AgentsGroup.name, AgentsGroup.id)
    with core.db.read() as session:
        return page(core, session, query, start, limit, lambda group: group_json(session, group))


@router.post("/groups", dependencies=[Depends(admin("only superadmin can create an agents group"))])
async def create_group(core: CoreDep, wanted: Wanted) -> Response:
    if "name" not in wanted:
        raise Problem(500)
    name = wanted["name"]
    with core.db.write() as session:
        same = session.scalars(
            select(AgentsGroup.id).where(AgentsGroup.name == name, AgentsGroup.deleted.is_(None))
        ).all()
        if len(same) > 1:
            raise Problem(500)  # two living groups have the name already, after a rename
        if same:
            raise Problem(400, f"Group with name {name} already exists")
        group = AgentsGroup(name=name)
        if "project_id" in wanted:
            project_id = wanted["project_id"]
            group.project = need(session, Project, project_id, f"Cannot find project with id {project_id}", 400)
        session.add(group)
        session.flush()
        return answer(group_json(session, group), 201)


@router.get("/groups/{group_id:int}", dependencies=[Depends(admin("only superadmin can get an agents group"))])
async def group(core: CoreDep, group_id: int) -> Response:
    with core.db.read() as session:
        found = need(session, AgentsGroup, group_id, f"Cannot find agent group with id {group_id}", 400)
        return answer(group_json(session, found))


@router.put("/groups/{group_id:int}", dependencies=[Depends(admin("only superadmin can modify an agents group"))])
async def change_group(core: CoreDep, group_id: int, wanted: Wanted) -> Response:
    with core.db.write() as session:
        found = need(session, AgentsGroup, group_id, "", 500)
        if "name" in wanted:
            # Nobody looks whether the name is taken: the real server does not either, and clients are tested against
            # that.
            found.name = wanted["name"]
        if "deployment" in wanted:
            found.deployment = wanted["deployment"]
        session.flush()
        return answer(group_json(session, found))


@router.delete("/groups/{group_id:int}", dependencies=[Depends(admin("only superadmin can delete an agents group"))])
async def delete_group(core: CoreDep, group_id: int) -> Response:
    with core.db.write() as session:
        need(session, AgentsGroup, group_id, f"Agents group with id {group_id} not found").deleted = now()
    return answer({})


@router.get("/systems")
async def systems(core: CoreDep, _caller: SignedIn) -> Response:
    with core.db.read() as session:
        query = select(System).order_by(System.name, System.id)
        return page(core, session, query, 0, LARGEST, system_json)  # the real server has no pages here
