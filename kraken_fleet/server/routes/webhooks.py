"""GitHub's webhooks: a push or a pull request starts a flow.

Only projects that allow them (`github_enabled`) get any, and they are signed when the project has a `github_secret`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from kraken_fleet.server.agents.scheduler import assign
from kraken_fleet.server.flows.triggers import trigger_flow
from kraken_fleet.server.rest.access import CoreDep
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.routes.common import need
from kraken_fleet.server.store.tables import Project

router = APIRouter()


@router.post("/webhooks/{project_id:int}/github")
async def github(core: CoreDep, project_id: int, request: Request) -> Response:
    raw = await request.body()
    event = request.headers.get("x-github-event")
    if event is None:
        raise Problem(400, "missing github event type in request header")
    if event not in ("push", "pull_request"):
        return Response(status_code=204)
    with core.db.write() as session:
        project = need(session, Project, project_id, "Invalid project id", 400)
        if not project.webhooks.get("github_enabled"):
            raise Problem(400, "webhooks from github disabled")
        if secret := project.webhooks.get("github_secret"):
            _check_signature(raw, str(secret), request.headers.get("x-hub-signature"))
        try:
            trigger = _trigger(event, json.loads(raw))
            if trigger:
                trigger_flow(session, project, trigger)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Problem(500) from error
        assign(session, core)
    return Response(status_code=204)


def _check_signature(raw: bytes, secret: str, given: str | None) -> None:
    if given is None:
        raise Problem(400, "missing signature in request header")
    expected = "sha1=" + hmac.new(secret.encode(), raw, hashlib.sha1).hexdigest()
    if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
        raise Problem(400, "Invalid signature")


def _trigger(event: str, said: dict[str, Any]) -> dict[str, Any] | None:
    """What agents and the API are told of it; None when nothing is to be built."""
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
