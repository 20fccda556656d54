"""The agents of the server: found, filtered, and changed several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kraken_fleet.model import ALL_GROUP, Agent
from kraken_fleet.reconcile import Event, change_groups
from kraken_fleet.web.context import Change, Changing, SignedIn
from kraken_fleet.web.desired import host_names
from kraken_fleet.web.rows import PAGE_SIZES, Query

router = APIRouter()


@router.get("/")
def home(visit: SignedIn) -> Response:
    return RedirectResponse(visit.request.scope.get("root_path", "") + "/agents", status_code=303)


@router.get("/agents")
def list_agents(visit: SignedIn) -> HTMLResponse:
    snapshot = visit.snapshot()
    query = Query.from_params(visit.request.query_params)
    page = visit.console.tables.of(snapshot, host_names(visit.console.settings)).page(query)
    groups = sorted(group.name for group in snapshot.groups if group.name != ALL_GROUP)
    return visit.page(
        "agents.html",
        page=page,
        query=page.query,
        groups=groups,
        sizes=PAGE_SIZES,
        snapshot=snapshot,
        deletion=visit.console.deleting.run,
    )


@router.post("/agents/change")
def change_agents(
    change: Changing,
    action: Annotated[str, Form()],
    agent: Annotated[list[int] | None, Form()] = None,
    group: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    """Do one action on every selected agent; each is tried, and what failed is named."""
    chosen = [found for agent_id in agent or [] if (found := change.snapshot().agent(agent_id))]
    if not chosen:
        change.session.notice = "No agent was selected: tick at least one"
    elif action == "delete":
        change.delete(chosen)
    else:
        change.follow(
            action, chosen, _events(change, action, chosen, group) or change.verb(action, chosen, note, until)
        )
    # Only a query: anything else could lead to another page.
    return change.back_to("/agents" + (back if back.startswith("?") else ""))


def _events(change: Change, action: str, chosen: Sequence[Agent], name: str) -> Iterator[Event] | None:
    """Return what puts agents into a group or takes them out; None for another action."""
    if action not in ("add", "remove"):
        return None
    group = next((one for one in change.snapshot().groups if one.name == name and name != ALL_GROUP), None)
    if group is None:
        raise HTTPException(400, "Choose a group first")
    added, removed = ([group], []) if action == "add" else ([], [group])
    return change_groups(change.client, change.named(chosen), add=added, remove=removed)
