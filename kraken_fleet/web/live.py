"""Server-sent events: tells browsers that something changed; they then fetch the page they are on again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from kraken_fleet.errors import FleetError, NotSignedInError
from kraken_fleet.web.cache import Snapshot
from kraken_fleet.web.context import SignedIn, Visit
from kraken_fleet.web.identity import is_still_here

router = APIRouter()

# A comment now and then keeps proxies from closing a quiet connection.
_QUIET_POLLS = 10


@router.get("/live")
async def live(visit: SignedIn, since: int | None = None) -> StreamingResponse:
    """Send the stream of `changed` events; end when the person signs out, may look no longer or goes away.

    Args:
        since: the version of the view that the page shows. What has changed before the stream began is told at once.
    """
    # X-Accel-Buffering: nginx would collect the small events until its buffer is full.
    return StreamingResponse(
        _events(visit, since),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


async def _events(visit: Visit, known: int | None) -> AsyncIterator[str]:
    console = visit.console
    reachable = True
    polls = 0
    while not await visit.request.is_disconnected():
        try:
            snapshot = await run_in_threadpool(_look, visit)
        except FleetError:
            if reachable:
                yield "event: unreachable\ndata: {}\n\n"
            reachable = False
        else:
            if snapshot is None:
                return
            if known is not None and (snapshot.version != known or not reachable):
                yield f"event: changed\nid: {snapshot.version}\ndata: {{}}\n\n"
            elif polls % _QUIET_POLLS == 0:
                yield ": still here\n\n"
            known, reachable = snapshot.version, True
        polls += 1
        await asyncio.sleep(console.settings.poll_seconds)


def _look(visit: Visit) -> Snapshot | None:
    """Return the newest view; None when this person may look no longer."""
    if not is_still_here(visit.console, visit.session):
        return None
    try:
        return visit.snapshot()
    except NotSignedInError as error:
        # The console's own account is refused, or the server takes no passwords for now.
        if visit.session.borrows or error.for_now:
            raise
        # Signed out meanwhile, or the server knows this person no more. Else each look would try the password again.
        visit.console.sessions.end(visit.session)
        return None
