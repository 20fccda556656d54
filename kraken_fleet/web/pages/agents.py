"""The agents of the server: found, filtered, and changed several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import ALL_GROUP, Agent
from kraken_fleet.web.context import Change, Changing, SignedIn
from kraken_fleet.web.rows import PAGE_SIZES, Query, make_page

router = APIRouter()

# What can be done to an agent by one click, in Kraken's own words. Draining is disabling: the job ends by itself.
_ACTIONS: Mapping[str, Callable[[KrakenClient, Agent], object]] = {
    "enable": lambda client, agent: client.enable_agent(agent.id),
    "disable": lambda client, agent: client.disable_agent(agent.id),
    "drain": lambda client, agent: client.disable_agent(agent.id),
    "unauthorize": lambda client, agent: client.set_authorized([agent.id], authorized=False),
}


@router.get("/")
def home(visit: SignedIn) -> Response:
    return RedirectResponse(visit.request.scope.get("root_path", "") + "/agents", status_code=303)


@router.get("/agents")
def list_agents(visit: SignedIn) -> HTMLResponse:
    snapshot = visit.snapshot()
    query = Query.from_params(visit.request.query_params)
    page = make_page(snapshot.agents, query, datetime.now(UTC))
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
    back: Annotated[str, Form()] = "",
) -> Response:
    """Do one action on every selected agent; each is tried, and what failed is named."""
    chosen = [found for agent_id in agent or [] if (found := change.snapshot().agent(agent_id))]
    if not chosen:
        change.session.notice = "No agent was selected: tick at least one"
    elif action == "delete":
        change.delete(chosen)
    else:
        _change_each(change, _action(change, action, group), action, chosen)
    return change.back_to("/agents" + (back if back.startswith("?") else ""))


def _action(change: Change, action: str, group: str) -> Callable[[KrakenClient, Agent], object]:
    if action in _ACTIONS:
        return _ACTIONS[action]
    if action not in ("add", "remove"):
        raise HTTPException(400, f"There is no action {action!r}")
    ids = {known.name: known.id for known in change.snapshot().groups}
    if group not in ids or group == ALL_GROUP:
        raise HTTPException(400, "Choose a group first")
    return _regroup(ids[group], joining=action == "add")


def _regroup(group_id: int, *, joining: bool) -> Callable[[KrakenClient, Agent], object]:
    def change(client: KrakenClient, agent: Agent) -> object:
        # The server replaces the whole set, so what the agent has goes back in; "all" with it.
        kept = {group.id for group in agent.groups} - {group_id}
        return client.set_agent_groups(agent.id, sorted(kept | {group_id} if joining else kept))

    return change


def _change_each(change: Change, do: Callable[[KrakenClient, Agent], object], action: str, chosen: list[Agent]) -> None:
    failures = [
        change.session.notice for agent in chosen if not change.do(action, agent.address, do, change.client, agent)
    ]
    done = len(chosen) - len(failures)
    summary = f"{action}: {done} of {len(chosen)} done"
    change.session.notice = ". ".join([summary, *failures[:3]])
