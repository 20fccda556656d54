"""Agents that wait to be authorized: what they claim, where they connect from, and what a deploy would decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, Response

from kraken_fleet.model import ALL_GROUP, Agent, DesiredAgent
from kraken_fleet.plan import ATTESTED, PlanPolicy, TrustPolicy, decide
from kraken_fleet.web.context import Changing, SignedIn
from kraken_fleet.web.desired import desired_fleet
from kraken_fleet.web.memories import nonces
from kraken_fleet.web.parameters import whole_number

router = APIRouter()
_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """One agent that is not authorized.

    Args:
        trust: the policies of the inventory, and for hosts that a secret was made for; none without an inventory.
    """

    agent: Agent
    host: DesiredAgent | None
    ignored: bool
    trust: tuple[TrustPolicy, ...]

    @property
    def verdict(self) -> str:
        """What the inventory's trust policies say of it, and why."""
        if not self.trust:
            return "nothing is known of it: the console was started without an inventory"
        decision = decide(self.trust, self.agent, self.host)
        if decision.on_trial:
            return f"the plan authorizes it on trial: {decision.reason}"
        if self.host and self.host.trust.policy == ATTESTED:
            return f"only a deploy can decide: {decision.reason}"
        return f"a deploy would {'authorize it' if decision.admitted else 'leave it out'}: {decision.reason}"

    @property
    def doubt(self) -> str:
        """What should make a person look twice."""
        if self.agent.ip_address and self.agent.ip_address != self.agent.address:
            return f"it connects from {self.agent.ip_address} but claims {self.agent.address}: NAT, or another machine"
        return ""


@router.get("/discovered")
def list_discovered(visit: SignedIn) -> HTMLResponse:
    asked = visit.request.query_params
    ignored = whole_number(asked.get("ignored"), "ignored", 0)
    snapshot = visit.snapshot()
    settings = visit.console.settings
    fleet, hidden = desired_fleet(settings), visit.console.ignored.addresses()
    wanted = fleet.by_address()
    trust = nonces(visit.client).policy(PlanPolicy(), fleet).trust or () if settings.inventory else ()
    every = [
        Candidate(agent, wanted.get(agent.address), agent.address in hidden, trust) for agent in snapshot.discovered
    ]
    shown = [candidate for candidate in every if ignored or not candidate.ignored]
    shown.sort(key=lambda candidate: candidate.agent.address)
    pages = max(-(-len(shown) // _PAGE_SIZE), 1)
    page = min(max(whole_number(asked.get("page"), "page", 1), 1), pages)
    return visit.page(
        "discovered.html",
        candidates=shown[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE],
        total=len(shown),
        page=page,
        pages=pages,
        ignored_count=sum(candidate.ignored for candidate in every),
        show_ignored=bool(ignored),
        groups=sorted((g for g in snapshot.groups if g.name != ALL_GROUP), key=lambda g: g.name),
        snapshot=snapshot,
    )


@router.post("/discovered/change")
def change_discovered(
    change: Changing,
    action: Annotated[str, Form()],
    agent: Annotated[list[int] | None, Form()] = None,
    group: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """Authorize the selected ones into the chosen groups in one step, or ignore them."""
    chosen = [found for found in change.snapshot().discovered if found.id in (agent or [])]
    if not chosen:
        change.session.notice = "No agent was selected: tick at least one"
    elif action == "authorize":
        _authorize(change, chosen, group or [])
    elif action == "ignore":
        change.console.ignored.add(found.address for found in chosen)
        change.record("ignore agents", [found.address for found in chosen])
        change.session.notice = f"Ignored {len(chosen)}. Nothing was changed on the server"
    elif action == "unignore":
        change.console.ignored.discard(found.address for found in chosen)
        change.record("unignore agents", [found.address for found in chosen])
    return change.back_to("/discovered")


def _authorize(change: Changing, chosen: list[Agent], group_ids: Iterable[int]) -> None:
    addresses = ", ".join(agent.address for agent in chosen)
    if not change.do("authorize", addresses, change.client.set_authorized, [agent.id for agent in chosen]):
        return
    wanted = set(group_ids)
    # The list is from before the authorization, which put each agent into `all`; PUT replaces all groups.
    everybody = {group.id for group in change.snapshot().groups if group.name == ALL_GROUP}
    failures = []
    for agent in chosen if wanted else []:
        ids = sorted({*(ref.id for ref in agent.groups), *wanted, *everybody})
        if not change.do("set groups of", agent.address, change.client.set_agent_groups, agent.id, ids):
            failures.append(change.session.notice)
    change.session.notice = ". ".join([f"authorize {addresses}: done", *failures])
