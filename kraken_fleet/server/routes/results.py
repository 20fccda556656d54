"""Test results of a run, filtered and sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.responses import Response

from kraken_fleet.server.rest.access import CoreDep, admin
from kraken_fleet.server.rest.problems import Problem
from kraken_fleet.server.rest.render_jobs import result_json
from kraken_fleet.server.routes.common import answer, need
from kraken_fleet.server.store.tables import Run
from kraken_fleet.server.store.test_history import ComparedResult, compared

router = APIRouter()
_VIEW = "only superadmin, project admin, project power user or project viewer roles can view results"
_SORTED_BY: dict[str, Callable[[ComparedResult], Any]] = {
    "result": lambda one: one.result.result,
    "change": lambda one: one.change,
    "age": lambda one: one.age,
    "instability": lambda one: one.instability,
    "relevancy": lambda one: one.relevancy,
    "system": lambda one: one.job.system.name,
    "group": lambda one: one.job.group.name,
}


class WantedResults(BaseModel):
    """What a client asks for. Lists are numbers with commas between them, as the real server takes them."""

    start: int = 0
    limit: int = 10
    sort_field: str = "name"
    sort_dir: str = "asc"
    statuses: str | None = None
    changes: str | None = None
    min_age: int | None = None
    max_age: int | None = None
    min_instability: int | None = None
    max_instability: int | None = None
    test_case_text: str | None = None
    job: str | None = None
    systems: str | None = None
    groups: str | None = None

    def select(self, results: Iterable[ComparedResult]) -> list[ComparedResult]:
        """Return the results that pass all filters, in the wanted order."""
        tests = (
            _one_of(self.statuses, "statuses", lambda one: one.result.result),
            _one_of(self.changes, "changes", lambda one: one.change),
            _one_of(self.systems, "systems", lambda one: one.job.system_id),
            _one_of(self.groups, "groups", lambda one: one.job.group_id),
            _within(self.min_age, self.max_age, lambda one: one.age),
            _within(self.min_instability, self.max_instability, lambda one: one.instability),
            _containing(self.test_case_text, lambda one: one.result.name),
            self._of_job,
        )
        found = [one for one in results if all(test(one) for test in tests)]
        key = _SORTED_BY.get(self.sort_field, lambda one: one.result.name)
        return sorted(found, key=key, reverse=self.sort_dir == "desc")

    def _of_job(self, one: ComparedResult) -> bool:
        if self.job is None:
            return True
        return one.job.id == int(self.job) if self.job.isdecimal() else self.job.lower() in one.job.name.lower()


@router.get("/runs/{run_id:int}/results", dependencies=[Depends(admin(_VIEW))])
async def run_results(core: CoreDep, run_id: int, wanted: Annotated[WantedResults, Query()]) -> Response:
    # As the real server answers.
    if wanted.start < 0 or wanted.limit < 0:
        raise Problem(500)
    with core.db.read() as session:
        found = wanted.select(compared(session, need(session, Run, run_id, f"Run {run_id} not found")))
        items = found[wanted.start : wanted.start + wanted.limit]
        return answer({"items": [result_json(one) for one in items], "total": len(found)})


def _one_of(text: str | None, name: str, value: Callable[[ComparedResult], int]) -> Callable[[ComparedResult], bool]:
    if not text:
        return lambda _one: True
    try:
        wanted = {int(part) for part in text.split(",")}
    except ValueError as error:
        raise Problem(400, f"Wrong type, expected 'array' for query parameter '{name}'") from error
    return lambda one: value(one) in wanted


def _within(
    least: int | None, most: int | None, value: Callable[[ComparedResult], int]
) -> Callable[[ComparedResult], bool]:
    return lambda one: (least is None or value(one) >= least) and (most is None or value(one) <= most)


def _containing(text: str | None, value: Callable[[ComparedResult], str]) -> Callable[[ComparedResult], bool]:
    return lambda one: text is None or text.lower() in value(one).lower()
