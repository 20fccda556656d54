"""The fleet as a whole: its recent past, the last deploys, and the plan against the inventory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, Response

from kraken_fleet.errors import FleetError
from kraken_fleet.model import Activity, DesiredFleet, ObservedFleet
from kraken_fleet.plan import Action, Plan, PlanPolicy, make_plan
from kraken_fleet.reconcile import Event, apply, observe
from kraken_fleet.state import recent_deploys, state_dir
from kraken_fleet.web.charts import Chart, stack
from kraken_fleet.web.context import Change, Changing, SignedIn, Visit
from kraken_fleet.web.desired import desired_fleet
from kraken_fleet.web.history import Sample
from kraken_fleet.web.memories import memories, nonces

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Made:
    """A plan, with all that it was made of: it is applied by the same policy."""

    plan: Plan
    desired: DesiredFleet
    observed: ObservedFleet
    policy: PlanPolicy

    def applied(self, change: Change) -> Iterator[Event]:
        """Apply it, and forget each secret of a host that has counted."""
        events = apply(
            change.client,
            self.plan,
            observed=self.observed,
            trust=self.policy.trust or (),
            declared=self.desired.declared_groups,
        )
        return nonces(change.client).forgetting(self.plan, events)


@router.get("/fleet")
def show_fleet(visit: SignedIn) -> HTMLResponse:
    snapshot = visit.snapshot()
    samples = visit.console.history.samples()
    plan, problem = _plan(visit)
    return visit.page(
        "fleet.html",
        states=_states(samples),
        jobs=_jobs(samples),
        deploys=recent_deploys(state_dir()),
        has_inventory=bool(visit.console.settings.inventory),
        plan=plan,
        fingerprint=_fingerprint(plan) if plan else "",
        plan_problem=problem,
        by_host=_by_host(plan.actions) if plan else {},
        by_group=_by_group(plan.actions) if plan else {},
        run=visit.console.applying.run,
        snapshot=snapshot,
        state_dir=state_dir(),
    )


@router.post("/fleet/apply")
def apply_plan(change: Changing, fingerprint: Annotated[str, Form()] = "") -> Response:
    """Apply the plan that the person saw; when what it rests on has changed since then, show the new one instead."""
    made = _make(change)
    plan = made.plan
    # Others may have changed the server or the inventory meanwhile: only the plan that a person has seen is applied.
    if _fingerprint(plan) != fingerprint:
        change.session.notice = "The fleet has changed since the plan was shown: look at the new one"
    elif not plan.changes:
        change.session.notice = "There is nothing to apply"
    elif change.console.applying.start(
        change.session.user, len(plan.actions), change.in_background(made.applied(change))
    ):
        change.session.notice = f"Applying {len(plan.actions)} changes"
    else:
        change.session.notice = "A plan is being applied already. When it has ended, look at the new plan"
    return change.back_to("/fleet")


def _fingerprint(plan: Plan) -> str:
    return f"{plan.server_fingerprint}.{plan.inventory_fingerprint}"


def _plan(visit: Visit) -> tuple[Plan | None, str]:
    if not visit.console.settings.inventory:
        return None, ""
    try:
        return _make(visit).plan, ""
    except FleetError as error:
        return None, str(error)


def _make(visit: Visit) -> _Made:
    desired, remembered = desired_fleet(visit.console.settings), memories(visit.client)
    policy = remembered.policy(PlanPolicy(), desired)
    observed = observe(visit.client, names=desired.groups, memory=remembered.groups)
    plan = make_plan(desired, observed, policy, now=visit.client.server_time(), server=visit.client.url)
    return _Made(plan, desired, observed, policy)


def _by_host(actions: Iterable[Action]) -> Mapping[str, Sequence[Action]]:
    """Return the changes to agents, by the agent's name in the inventory."""
    found: dict[str, list[Action]] = defaultdict(list)
    for action in actions:
        if label := getattr(action, "label", ""):
            found[label].append(action)
    return dict(sorted(found.items()))


def _by_group(actions: Iterable[Action]) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Say who comes into each group and who leaves it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"added": [], "removed": []})
    for action in actions:
        for way in ("added", "removed"):
            for group in getattr(action, way, ()):
                found[group][way].append(getattr(action, "label", ""))
    return dict(sorted(found.items()))


def _states(samples: Iterable[Sample]) -> Chart | None:
    return stack([(sample.minute, sample.states) for sample in samples], list(Activity))


def _jobs(samples: Iterable[Sample]) -> Chart | None:
    kept = list(samples)
    # Every agent is in `all`, so each job would be counted twice.
    names = sorted({name for sample in kept for name in sample.jobs if name != "all"})
    return stack([(sample.minute, sample.jobs) for sample in kept], names)
