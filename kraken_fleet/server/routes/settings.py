"""Settings: everything to administrators, which identity providers are enabled to anyone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from kraken_fleet.server.core import Core
from kraken_fleet.server.rest.access import CoreDep, admin, find_session, token_of
from kraken_fleet.server.rest.bodies import body, check
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render import settings_json
from kraken_fleet.server.routes.common import answer
from kraken_fleet.server.store.tables import Setting

router = APIRouter()
Wanted = Annotated[Any, Depends(body("object"))]
# The groups of settings that the schema of Kraken 1.7.36 names.
_IN_SCHEMA = ("general", "notification", "monitoring")


@router.get("/settings")
async def settings(request: Request, core: CoreDep) -> Response:
    with core.db.read() as session:
        return answer(settings_json(session, public=not _asks_admin(core, request)))


def _asks_admin(core: Core, request: Request) -> bool:
    try:
        found = find_session(core, token_of(request))
    except Problem:
        return False
    return found is not None and found.user.superadmin


@router.put("/settings", dependencies=[Depends(admin("only superadmin can get modify settings"))])
async def change_settings(core: CoreDep, wanted: Wanted) -> Response:
    with core.db.write() as session:
        for group, values in wanted.items():
            _check_group(group, values)
            for name, value in values.items():
                row = session.get(Setting, (group, name))
                if row is not None:
                    _set(row, value)
        session.flush()
        data = settings_json(session, public=False)
    core.refresh()
    return answer(data)


def _check_group(group: str, values: Any) -> None:
    """Refuse a group that is no object: in words where the real server's schema has it, elsewhere with its bare 500."""
    if group in _IN_SCHEMA:
        check(values, "object", (group,))
    elif not isinstance(values, dict):
        raise Problem(500)


def _set(row: Setting, value: Any) -> None:
    if row.kind == "password" and value == "":
        return
    try:
        row.value = str(int(value)) if row.kind == "integer" else "" if value is None else str(value)
    except (ValueError, TypeError) as error:
        raise Problem(500) from error
    row.automatic = False
