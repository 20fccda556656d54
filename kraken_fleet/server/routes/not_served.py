"""Routes of a real server that the embedded one does not serve. Each answers 501 and says why.

The paths are those of the real server's API description (kraken/server/swagger.yml, 1.7.36). docs/server.md shows this
table; a test compares both with that description.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from kraken_fleet.server.rest.access import SignedIn

router = APIRouter()

_CLOUD = "The embedded server starts no cloud machines"
_EDITING = "The embedded server does not change this; make a new project, branch or secret"
_REPOSITORY = "Stages from a repository and schedules are not offered by the embedded server"
_SEQUENCES = "The embedded server has no sequences"
_QUEUE = "The embedded server has no job queue of its own"
_COMMENTS = "The embedded server keeps no comments on tests"
_ISSUES = "The embedded server keeps no issues and no list of artifacts"
_SETTINGS = "The embedded server sends no notifications, so there is nothing to test"

NOT_SERVED: dict[str, str] = {
    "PUT /secrets/{secret_id}": _EDITING,
    "PUT /branches/{branch_id}": _EDITING,
    "GET /branches/{branch_id}/sequences": _SEQUENCES,
    "PUT /sequences/{seq_id}": _SEQUENCES,
    "GET /branches/{branch_id}/stats": "The embedded server keeps no statistics",
    "PUT /branches/{branch_id}/project_id": _EDITING,
    "PUT /branches/{branch_id}/retention_policy": _EDITING,
    "DELETE /branches/{branch_id}/env_vars/{name}": _EDITING,
    "GET /flows/{flow_id}/artifacts": _ISSUES,
    "GET /flows/{flow_id}/analysis": "The embedded server keeps no statistics",
    "GET /flows/{flow_id}/history": _REPOSITORY,
    "PUT /stages/{stage_id}/schema": _REPOSITORY,
    "GET /stages/{stage_id}/schedule": _REPOSITORY,
    "GET /runs/{run_id}/issues": _ISSUES,
    "GET /runs/{run_id}/artifacts": _ISSUES,
    "POST /runs/{run_id}": "The embedded server compares the tests of a run whenever it is asked for them",
    "GET /test_case_results/{test_case_result_id}": _COMMENTS,
    "GET /test_case_results/{test_case_result_id}/history": _COMMENTS,
    "POST /test_case_results/{test_case_result_id}/comment": _COMMENTS,
    "POST /jobs": "On the embedded server jobs come from stages only",
    "GET /last-rq-jobs": _QUEUE,
    "GET /services-logs": "The embedded server is one process; its log is what it prints",
    "GET /aws-ec2-regions": _CLOUD,
    "GET /aws-ec2-instance-types/{region}": _CLOUD,
    "GET /azure-locations": _CLOUD,
    "GET /azure-vm-sizes/{location}": _CLOUD,
    "GET /settings/{resource}/working-state": _SETTINGS,
    "DELETE /tools/{tool_id}": "Steps of past jobs name their tools; register another version instead",
    "GET /user_data": "The embedded server keeps data with flows and branches, and shows it in them",
    "POST /rq/queue": _QUEUE,
}


def _refusal(reason: str) -> Callable[[SignedIn], Awaitable[Response]]:
    async def refuse(_caller: SignedIn) -> Response:
        body = {"detail": f"{reason}. A real Kraken server has this.", "status": 501, "title": "Not Implemented"}
        return JSONResponse({**body, "type": "about:blank"}, 501, media_type="application/problem+json")

    return refuse


for _route, _reason in NOT_SERVED.items():
    _method, _path = _route.split(" ")
    router.add_api_route(_path, _refusal(_reason), methods=[_method])
