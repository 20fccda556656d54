"""Diagnostics: how the server's queue is. Of the real server's services the embedded one has no other.

It deletes agents at once, so the queue is always empty; that an agent's deletion is over is what clients look for.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from kraken_fleet.server.clock import iso_micro
from kraken_fleet.server.rest.access import CoreDep, admin
from kraken_fleet.server.routes.common import answer

router = APIRouter()
# What the real server's queue runs for each deleted agent.
_DELETION = "kraken.server.bg.jobs.destroy_machine"
_EMPTY = ("current_jobs", "deferred_jobs", "failed_jobs", "scheduled_jobs")


@router.get("/diagnostics", dependencies=[Depends(admin("only superadmin can get diagnostics"))])
async def diagnostics(core: CoreDep) -> Response:
    finished = [_deletion(agent_id, moment) for agent_id, moment in core.deletions]
    lists: dict[str, list[dict[str, object]]] = {name: [] for name in _EMPTY}
    return answer({"rq": {"name": "RQ", "address": "", "open": True, **lists, "finished_jobs": finished}})


def _deletion(agent_id: int, moment: float) -> dict[str, object]:
    at = iso_micro(moment)
    return {
        "id": f"destroy-machine-{agent_id}",
        "func_name": _DELETION,
        "description": f"{_DELETION}({agent_id})",
        "created_at": at,
        "enqueued_at": at,
        "ended_at": at,
        "status": "finished",
    }
