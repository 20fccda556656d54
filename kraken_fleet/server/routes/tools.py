"""Tools that are not built in: the server only knows their names; agents find the code in a directory or the store."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from kraken_fleet.server.rest.access import CoreDep, admin
from kraken_fleet.server.rest.bodies import body
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.routes.common import answer
from kraken_fleet.server.store.tables import Tool

router = APIRouter()
WantedTool = Annotated[Any, Depends(body("object"))]
_FIELDS = ("name", "description", "location", "entry", "parameters")


@router.post("/tools", dependencies=[Depends(admin("only superadmin can create or update a tool"))])
async def create_tool(core: CoreDep, wanted: WantedTool) -> Response:
    """A new version of a tool, or another content for one that is named."""
    if "name" not in wanted:
        raise Problem(400, "missing name or url in body")
    parameters = wanted.get("parameters")
    if not all(field in wanted for field in _FIELDS) or not isinstance(parameters, dict):
        raise Problem(500)
    if "properties" not in parameters:
        raise Problem(500)
    with core.db.write() as session:
        version = str(wanted.get("version") or _next_version(session, wanted["name"]))
        query = select(Tool).where(Tool.name == wanted["name"], Tool.version == version)
        tool = session.scalars(query).one_or_none() or Tool(version=version)
        for field in _FIELDS:
            setattr(tool, field, wanted[field])
        session.add(tool)
        session.flush()
        return answer(_tool_json(tool), 201)


def _next_version(session: Session, name: str) -> str:
    """One more than the newest version that ends in a digit."""
    for version in session.scalars(select(Tool.version).where(Tool.name == name).order_by(Tool.id.desc())):
        if found := re.fullmatch(r"(.*)(\d+)", version):
            return f"{found[1]}{int(found[2]) + 1}"
    return "1"


def _tool_json(tool: Tool) -> dict[str, Any]:
    return {
        "id": tool.id,
        "name": tool.name,
        "location": tool.location,
        "entry": tool.entry,
        "version": tool.version,
        "description": tool.description,
        "fields": tool.parameters,
        "url": None,
        "tag": None,
        "tool_file": None,
    }
