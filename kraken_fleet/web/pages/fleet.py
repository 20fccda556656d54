"""The fleet as a whole: its recent past, the last deploys, and the plan against the inventory."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from kraken_fleet.model import Activity
from kraken_fleet.reconcile.deploys import recent, state_dir
from kraken_fleet.web.charts import Chart, stack
from kraken_fleet.web.context import SignedIn
from kraken_fleet.web.history import Sample

router = APIRouter()


@router.get("/fleet")
def show_fleet(visit: SignedIn) -> HTMLResponse:
    snapshot = visit.snapshot()
    samples = visit.console.history.samples()
    return visit.page(
        "fleet.html",
        states=_states(samples),
        jobs=_jobs(samples),
        deploys=recent(state_dir()),
        has_inventory=bool(visit.console.settings.inventory),
        snapshot=snapshot,
    )


def _states(samples: Iterable[Sample]) -> Chart | None:
    return stack([(sample.minute, sample.states) for sample in samples], list(Activity))


def _jobs(samples: Iterable[Sample]) -> Chart | None:
    kept = list(samples)
    names = sorted({name for sample in kept for name in sample.jobs if name != "all"})
    return stack([(sample.minute, sample.jobs) for sample in kept], names)
