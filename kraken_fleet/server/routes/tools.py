"""Tools that are not built in: the server knows where their code is, and keeps the code that clients upload."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, UploadFile
from sqlalchemy import asc, desc, func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from kraken_fleet.server.core import Core
from kraken_fleet.server.rest.access import CoreDep, SignedIn, admin
from kraken_fleet.server.rest.bodies import body, check, decode
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.workflow_schema import workflow_schema
from kraken_fleet.server.routes.common import answer, page
from kraken_fleet.server.store.tables import Tool

router = APIRouter()
WantedTool = Annotated[Any, Depends(body("object"))]
_FIELDS = ("name", "description", "location", "entry", "parameters")
_SORTED_BY = {"id": Tool.id, "name": Tool.name, "version": Tool.version, "location": Tool.location, "entry": Tool.entry}
_LARGEST_UPLOAD = 100 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Part:
    """Which part of a list a client asks for, as query parameters, and in which order."""

    start: int = 0
    limit: int = 30
    sort_field: str = "name"
    sort_dir: str = "asc"

    def order(self, otherwise: Any) -> Any:
        """Return what to sort by: the field that is asked for, else another one."""
        return (desc if self.sort_dir == "desc" else asc)(_SORTED_BY.get(self.sort_field, otherwise))


Part = Annotated[_Part, Depends()]


@router.get("/tools")
async def tools(core: CoreDep, _caller: SignedIn, part: Part) -> Response:
    """Return the newest version of each tool."""
    newest = select(func.max(Tool.id)).group_by(Tool.name)
    query = select(Tool).where(Tool.id.in_(newest)).order_by(part.order(Tool.name))
    with core.db.read() as session:
        return page(core, session, query, part.start, part.limit, _tool_json)


@router.get("/tools/{name}")
async def versions(core: CoreDep, _caller: SignedIn, name: str, part: Part) -> Response:
    """Return all versions of one tool; those that the wanted order leaves equal come newest first."""
    order = part.order(Tool.id)
    query = select(Tool).where(Tool.name == name).order_by(order, desc(Tool.id))
    with core.db.read() as session:
        return page(core, session, query, part.start, part.limit, _tool_json)


@router.post("/tools", dependencies=[Depends(admin("only superadmin can create or update a tool"))])
async def create_tool(core: CoreDep, wanted: WantedTool) -> Response:
    """Make a new version of a tool, or replace the content of the one that is named."""
    with core.db.write() as session:
        return answer(_tool_json(_stored(session, wanted)), 201)


@router.post("/tools/{name}/zip", dependencies=[Depends(admin("only superadmin can upload a tool"))])
async def upload_tool(
    core: CoreDep, name: str, meta: Annotated[str, Form()], file: Annotated[UploadFile, File()]
) -> Response:
    """Do the same with the tool's code, which the server keeps and agents download.

    The real server keeps it in its object store. The embedded one has none.
    """
    wanted = decode(core.intake, meta.encode("utf-8", "surrogatepass"), "meta")
    check(wanted, "object")
    if wanted.get("name") != name:
        raise Problem(400, f"Name in description ({wanted.get('name')}) does not match name in url ({name})")
    location = await _kept(core, file)
    with core.db.write() as session:
        return answer(_tool_json(_stored(session, {**wanted, "location": location})), 201)


@router.get("/workflow-schema")
async def stage_schema(core: CoreDep, _caller: SignedIn) -> Response:
    with core.db.read() as session:
        return answer(workflow_schema(session.scalars(select(Tool).order_by(desc(Tool.id)))))


def uploads(core: Core) -> Path:
    """Say where uploaded tools are kept, each file under the digest of its content."""
    return core.settings.data_dir / "tools"


async def _kept(core: Core, file: UploadFile) -> str:
    """Keep an uploaded zip file, whole or not at all; return its path on this server."""
    directory = uploads(core)
    directory.mkdir(mode=0o700, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".upload-") as temporary:
        while chunk := await file.read(_CHUNK):
            size += len(chunk)
            if size > _LARGEST_UPLOAD:
                raise Problem(413, f"The tool is larger than {_LARGEST_UPLOAD // _CHUNK} MiB")
            digest.update(chunk)
            temporary.write(chunk)
        temporary.flush()
        if not zipfile.is_zipfile(temporary.name):
            raise Problem(400, "file is not a zip file")
        name = f"{digest.hexdigest()}.zip"
        # A second name for the whole file: the temporary name goes when the block ends, and no reader, a backup for
        # example, ever sees half of it or none.
        second = Path(f"{temporary.name}.zip")
        second.hardlink_to(temporary.name)
        second.replace(directory / name)
    return f"/bk/install/tools/{name}"


def _stored(session: Session, wanted: Any) -> Tool:
    if "name" not in wanted:
        raise Problem(400, "missing name or url in body")
    parameters = wanted.get("parameters")
    if not all(field in wanted for field in _FIELDS) or not isinstance(parameters, dict):
        raise Problem(500)
    if "properties" not in parameters:
        raise Problem(500)
    version = str(wanted.get("version") or _next_version(session, wanted["name"]))
    query = select(Tool).where(Tool.name == wanted["name"], Tool.version == version)
    tool = session.scalars(query).one_or_none() or Tool(version=version)
    for field in _FIELDS:
        setattr(tool, field, wanted[field])
    session.add(tool)
    session.flush()
    return tool


def _next_version(session: Session, name: str) -> str:
    """Return one more than the newest version that ends in a digit."""
    for version in session.scalars(select(Tool.version).where(Tool.name == name).order_by(Tool.id.desc())):
        if found := re.fullmatch(r"(.*?)(\d+)", version):
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
