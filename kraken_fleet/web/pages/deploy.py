"""One past run of a playbook: its tasks, and what came of it on each host."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from kraken_fleet.state import find_deploy, state_dir
from kraken_fleet.web.context import SignedIn

router = APIRouter()


@router.get("/deploys/{deploy_id}")
def show_deploy(visit: SignedIn, deploy_id: str) -> HTMLResponse:
    deploy = find_deploy(state_dir(), deploy_id)
    if deploy is None:
        raise HTTPException(404, "There is no such deploy; the last fifty are kept")
    return visit.page("deploy.html", deploy=deploy)
