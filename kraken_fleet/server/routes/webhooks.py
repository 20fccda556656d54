"""GitHub's webhooks: a push or a pull request starts a flow.

Only projects that allow them (`github_enabled`) and have a secret (`github_secret`) get any. Each is signed with it. It
starts something only when it comes for the first time.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.responses import Response

from kraken_fleet.server.agents.scheduler import assign
from kraken_fleet.server.core import Core
from kraken_fleet.server.flows.triggers import trigger_flow
from kraken_fleet.server.intake import NotJsonError, RefusedError
from kraken_fleet.server.rest.access import CoreDep
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.routes.common import need
from kraken_fleet.server.store.tables import Delivery, Project

router = APIRouter()
_REMEMBERED = 20_000


@router.post("/webhooks/{project_id:int}/github")
async def github(core: CoreDep, project_id: int, request: Request) -> Response:
    raw = await request.body()
    event = request.headers.get("x-github-event")
    if event is None:
        raise Problem(400, "missing github event type in request header")
    # GitHub sends a `ping` when somebody makes a hook, and further events when the hook asks for them.
    if event not in ("push", "pull_request"):
        return Response(status_code=204)
    with core.db.write() as session:
        project = need(session, Project, project_id, "Invalid project id", 400)
        if not project.webhooks.get("github_enabled"):
            raise Problem(400, "webhooks from github disabled")
        secret = project.webhooks.get("github_secret")
        if not secret:
            raise Problem(400, "This project has no secret for webhooks: set github_secret")
        _check_signature(raw, str(secret), request.headers)
        said = _decode(core, raw)
        if not _is_new(session, project, request.headers.get("x-github-delivery"), raw):
            return Response(status_code=204)
        try:
            trigger = _trigger(event, said)
            if trigger:
                trigger_flow(session, project, trigger)
        except (KeyError, TypeError, AttributeError) as error:
            raise Problem(500) from error
        assign(session, core)
    return Response(status_code=204)


def _decode(core: Core, raw: bytes) -> Any:
    try:
        return core.intake.decode(raw)
    except NotJsonError as error:
        raise Problem(500) from error
    except RefusedError as error:
        raise Problem(error.status, error.words) from error


def _is_new(session: Session, project: Project, delivery: str | None, raw: bytes) -> bool:
    """Say whether this delivery has not come before, and remember it.

    GitHub gives each delivery an id. The id is not signed, so what was signed counts as well: whoever sends the same
    again with another id sends nothing new. Only the newest deliveries are remembered.
    """
    names = [f"{project.id} {hashlib.sha256(raw).hexdigest()}"]
    if delivery:
        names.append(f"{project.id} id {delivery[:100]}")
    if session.scalars(select(Delivery.name).where(Delivery.name.in_(names))).first():
        return False
    session.add_all(Delivery(name=name) for name in names)
    session.flush()
    newest = session.scalar(select(func.max(Delivery.id))) or 0
    session.execute(delete(Delivery).where(Delivery.id <= newest - _REMEMBERED))
    return True


def _check_signature(raw: bytes, secret: str, headers: Headers) -> None:
    """Check GitHub's signature. It signs twice; the better signature counts when it is there."""
    algorithm, header = "sha256", "x-hub-signature-256"
    if header not in headers:
        algorithm, header = "sha1", "x-hub-signature"
    given = headers.get(header)
    if given is None:
        raise Problem(400, "missing signature in request header")
    expected = f"{algorithm}=" + hmac.new(secret.encode(), raw, algorithm).hexdigest()
    if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
        raise Problem(400, "Invalid signature")


def _trigger(event: str, said: dict[str, Any]) -> dict[str, Any] | None:
    """Return what agents and the API are told of it; None when nothing is to be built."""
    if event == "push":
        told = {name: said[name] for name in ("ref", "before", "after", "pusher", "commits")}
    else:
        action, request = said["action"], said["pull_request"]
        if action not in ("opened", "synchronize") or (action == "opened" and request["commits"] == 0):
            return None
        told = {
            "action": action,
            "pull_request": request,
            "before": said["before"] if "before" in said else request["base"]["sha"],
            "after": said["after"] if "after" in said else request["head"]["sha"],
            "sender": said["sender"],
        }
    return {"trigger": f"github-{event}", "repo": said["repository"]["clone_url"], **told}
