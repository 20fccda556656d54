"""The counters that each page of Kraken's web UI shows."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import func, select
from starlette.responses import Response

from kraken_fleet.server.clock import now
from kraken_fleet.server.rest.access import CoreDep, SignedIn
from kraken_fleet.server.routes.common import answer
from kraken_fleet.server.store.tables import Agent, LogLine

router = APIRouter()
_HOUR = 3600.0


@router.get("/live-data")
async def live_data(core: CoreDep, _caller: SignedIn) -> Response:
    """Count errors in the log of the last hour, and agents that are authorized or wait to be."""
    errors = core.logs.count(LogLine.time > now() - _HOUR, LogLine.level == "ERROR")
    with core.db.read() as session:
        query = select(Agent.authorized, func.count()).where(Agent.deleted.is_(None)).group_by(Agent.authorized)
        agents = {row[0]: row[1] for row in session.execute(query)}
    return answer(
        {
            "error_logs_count": errors,
            "authorized_agents": agents.get(True, 0),
            "non_authorized_agents": agents.get(False, 0),
        }
    )
