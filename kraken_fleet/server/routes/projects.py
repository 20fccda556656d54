"""Projects, secrets, branches and stages."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import false, select
from starlette.responses import Response

from kraken_fleet.server.clock import now
from kraken_fleet.server.flows.job_making import check_stage
from kraken_fleet.server.flows.stage_code import StageError
from kraken_fleet.server.intake import LARGEST
from kraken_fleet.server.rest.access import CoreDep, SignedIn, admin
from kraken_fleet.server.rest.bodies import body
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render_jobs import branch_json, project_json, secret_json, stage_json
from kraken_fleet.server.routes.common import answer, created, need, page
from kraken_fleet.server.store.tables import Branch, Project, Secret, Sequence, Stage

router = APIRouter()
Named = Annotated[Any, Depends(body({"name": "string", "description": "string", "branch_name": "string"}))]
_STAGE = {"name": "string", "description": "string", "enabled": "boolean", "schema_code": "string"}
WantedStage = Annotated[Any, Depends(body(_STAGE, required=("name",)))]
WantedSecret = Annotated[
    Any,
    Depends(body({"name": "string", "kind": "string", "secret": "string", "username": "string", "key": "string"})),
]
WantedWebhooks = Annotated[Any, Depends(body({"webhooks": "object"}))]
EnvVar = Annotated[Any, Depends(body({"name": "string", "value": "string"}))]


@router.get("/projects")
async def projects(core: CoreDep, caller: SignedIn) -> Response:
    with core.db.read() as session:
        query = select(Project).where(Project.deleted.is_(None)).order_by(Project.name)
        # The real server has no pages here: whoever is no superadmin gets an empty list, everybody else all of it.
        most = LARGEST if caller.user.superadmin else 0
        return page(core, session, query if most else query.where(false()), 0, most, project_json)


@router.post("/projects", dependencies=[Depends(admin("only superadmin role can create projects"))])
async def create_project(core: CoreDep, wanted: Named) -> Response:
    if "name" not in wanted:
        raise Problem(400, "Missing name in project")
    with core.db.write() as session:
        if session.scalars(select(Project).where(Project.name == wanted["name"])).first():
            raise Problem(400, f"Project with name {wanted['name']} already exists")
        project = Project(name=wanted["name"], description=wanted.get("description", ""))
        return created(session, project, project_json)


@router.get("/projects/{project_id:int}", dependencies=[Depends(admin("only superadmin can get a project"))])
async def project(core: CoreDep, project_id: int) -> Response:
    with core.db.read() as session:
        found = need(session, Project, project_id, f"Project with id {project_id} does not exist", 400)
        return answer(project_json(found))


@router.put(
    "/projects/{project_id:int}",
    dependencies=[Depends(admin("only superadmin, project admin and project power user roles can modify project"))],
)
async def change_project(core: CoreDep, project_id: int, wanted: WantedWebhooks) -> Response:
    with core.db.write() as session:
        found = need(session, Project, project_id, "Project not found")
        found.webhooks = wanted.get("webhooks", found.webhooks)
        return answer(project_json(found))


@router.delete(
    "/projects/{project_id:int}",
    dependencies=[Depends(admin("only superadmin and project admin roles can delete project"))],
)
async def delete_project(core: CoreDep, project_id: int) -> Response:
    with core.db.write() as session:
        need(session, Project, project_id, f"Project with id {project_id} does not exist", 400).deleted = now()
    return answer({})


@router.post(
    "/projects/{project_id:int}/secrets",
    dependencies=[Depends(admin("only superadmin and project admin roles can create a secret"))],
)
async def create_secret(core: CoreDep, project_id: int, wanted: WantedSecret) -> Response:
    parts = {"simple": ("secret",), "ssh-key": ("username", "key")}.get(wanted.get("kind", ""))
    if parts is None or not all(part in wanted for part in parts):
        raise Problem(400, "Wrong data")
    if not re.fullmatch(r"[A-Za-z0-9_]+", wanted.get("name", "")):
        raise Problem(400, "Secret name can have only A-Z, a-z, 0-9 or _ characters")
    with core.db.write() as session:
        owner = need(session, Project, project_id, f"Project with id {project_id} does not exist", 400)
        data = {part: wanted[part] for part in parts}
        secret = Secret(project=owner, name=wanted["name"], kind=wanted["kind"], data=data)
        return created(session, secret, secret_json)


@router.delete(
    "/secrets/{secret_id:int}",
    dependencies=[Depends(admin("only superadmin and project admin roles can delete a secret"))],
)
async def delete_secret(core: CoreDep, secret_id: int) -> Response:
    with core.db.write() as session:
        need(session, Secret, secret_id, "Secret not found").deleted = now()
    return answer({})


@router.post(
    "/projects/{project_id:int}/branches",
    dependencies=[Depends(admin("only superadmin, project admin and project power user roles can create a branch"))],
)
async def create_branch(core: CoreDep, project_id: int, wanted: Named) -> Response:
    with core.db.write() as session:
        owner = need(session, Project, project_id, "Project not found")
        if "name" not in wanted:
            raise Problem(500)
        if any(other.name == wanted["name"] and other.deleted is None for other in owner.branches):
            raise Problem(500)  # the real server's database refuses the second branch of a name
        branch = Branch(project=owner, name=wanted["name"], branch_name=wanted.get("branch_name") or wanted["name"])
        branch.sequences = [Sequence(kind=kind) for kind in ("shared", "ci", "dev")]
        return created(session, branch, branch_json)


_VIEW_BRANCH = "only superadmin, project admin, project power user and project viewer roles can get a branch"


@router.get("/branches/{branch_id:int}/cfg", dependencies=[Depends(admin(_VIEW_BRANCH))])
async def branch(core: CoreDep, branch_id: int) -> Response:
    with core.db.read() as session:
        return answer(branch_json(need(session, Branch, branch_id, "Branch not found"), with_stages=True))


@router.delete(
    "/branches/{branch_id:int}",
    dependencies=[Depends(admin("only superadmin and project admin roles can delete a branch"))],
)
async def delete_branch(core: CoreDep, branch_id: int) -> Response:
    with core.db.write() as session:
        need(session, Branch, branch_id, f"Branch with id {branch_id} does not exist", 400).deleted = now()
    return answer({})


@router.post(
    "/branches/{branch_id:int}/env_vars",
    dependencies=[Depends(admin("only superadmin, project admin and project power user roles can modify a branch"))],
)
async def create_env_var(core: CoreDep, branch_id: int, wanted: EnvVar) -> Response:
    with core.db.write() as session:
        found = need(session, Branch, branch_id, "Branch not found")
        found.env_vars = {**found.env_vars, wanted["name"]: wanted["value"]}
        return answer(branch_json(found), 201)


@router.post(
    "/branches/{branch_id:int}/stages",
    dependencies=[Depends(admin("only superadmin, project admin and project power user roles can create a stage"))],
)
async def create_stage(core: CoreDep, branch_id: int, wanted: WantedStage) -> Response:
    with core.db.write() as session:
        found = need(session, Branch, branch_id, "Branch not found")
        try:
            code, schema = check_stage(session, found, wanted["name"], wanted.get("schema_code"))
        except StageError as error:
            raise Problem(400, str(error)) from error
        stage = Stage(branch=found, name=wanted["name"], schema_code=code, schema=schema)
        return created(session, stage, stage_json)


@router.get("/stages/{stage_id:int}", dependencies=[Depends(admin(_VIEW_BRANCH.replace("branch", "stage")))])
async def stage(core: CoreDep, stage_id: int) -> Response:
    with core.db.read() as session:
        return answer(stage_json(need(session, Stage, stage_id, "Stage not found")))


@router.put(
    "/stages/{stage_id:int}",
    dependencies=[Depends(admin("only superadmin, project admin and project power user roles can modify a stage"))],
)
async def change_stage(core: CoreDep, stage_id: int, wanted: WantedStage) -> Response:
    with core.db.write() as session:
        found = need(session, Stage, stage_id, "Stage not found")
        if "schema_code" in wanted:
            code = wanted["schema_code"]
            try:
                found.schema_code, found.schema = check_stage(session, found.branch, wanted["name"], code)
            except StageError as error:
                raise Problem(400, str(error)) from error
        for field in ("name", "description", "enabled"):
            if field in wanted:
                setattr(found, field, wanted[field])
        session.flush()
        return answer(stage_json(found))


@router.delete(
    "/stages/{stage_id:int}",
    dependencies=[Depends(admin("only superadmin and project admin roles can delete a stage"))],
)
async def delete_stage(core: CoreDep, stage_id: int) -> Response:
    with core.db.write() as session:
        need(session, Stage, stage_id, f"Stage with id {stage_id} does not exist", 400).deleted = now()
    return answer({})
