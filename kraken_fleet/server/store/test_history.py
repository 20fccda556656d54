"""The tests of a run, compared with those of earlier flows.

The rule is the real server's (kraken/server/bg/jobs.py, 1.7.36): a result is compared with those of the same test,
agents group and system in the ten ci flows of the branch that came before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import Select, desc, select
from sqlalchemy.orm import Session

from kraken_fleet.server.store.tables import Flow, Job, Run, TestResult

PASSED = 1
FAILED = 2
_CI = 0
_HISTORY = 10
# The same test of the same job's group and system.
_Key = tuple[str, str, int, int]


class Change(IntEnum):
    """How a result differs from the one before, in Kraken's numbers."""

    NONE = 0
    FIX = 1
    REGRESSION = 2
    NEW = 3


@dataclass(frozen=True, slots=True)
class ComparedResult:
    """A test's result with its history.

    Args:
        result: the result itself.
        job: the job that it belongs to.
        change: how it differs from the result of the flow before.
        age: how many flows before this one had the same result, one after the other.
        instability: how often the result changed in the last ten flows.
    """

    result: TestResult
    job: Job
    change: Change
    age: int
    instability: int

    @property
    def relevancy(self) -> int:
        """How much a person should care, from 0 to 6: the real server adds one for each of these."""
        return sum(
            (
                # A result that did not pass counts twice, since the embedded server has no comments on tests.
                2 * (self.result.result != PASSED),
                self.result.result == FAILED,
                self.instability <= 3,
                self.age < 5,
                self.change is Change.REGRESSION,
            )
        )


def compared(session: Session, run: Run) -> list[ComparedResult]:
    """Return all results of a run's jobs, by the tests' names, each with its history."""
    rows = session.execute(_results().where(Job.run_id == run.id).order_by(TestResult.name, TestResult.id)).all()
    if not rows:
        return []
    earlier = _earlier(session, run)
    return [_compare(result, job, earlier[_key(result, job)]) for result, job in rows]


def change_counts(session: Session, run: Run) -> dict[str, int]:
    """Say how many results of a run are new, fixed, worse and unchanged, by the names that the API has for these."""
    counts = Counter(one.change for one in compared(session, run))
    return {
        "new_cnt": counts[Change.NEW],
        "no_change_cnt": counts[Change.NONE],
        "regr_cnt": counts[Change.REGRESSION],
        "fix_cnt": counts[Change.FIX],
    }


def _results() -> Select[TestResult, Job]:
    return select(TestResult, Job).join(Job, Job.id == TestResult.job_id).where(Job.covered.is_(False))


def _earlier(session: Session, run: Run) -> dict[_Key, list[int]]:
    """Return the results of the flows before, the newest first."""
    flows = select(Flow.id).where(Flow.branch_id == run.flow.branch_id, Flow.kind == _CI, Flow.id < run.flow_id)
    newest = list(session.scalars(flows.order_by(desc(Flow.id)).limit(_HISTORY)))
    query = _results().join(Run, Run.id == Job.run_id).where(Run.flow_id.in_(newest)).order_by(desc(Run.flow_id))
    found: dict[_Key, list[int]] = defaultdict(list)
    for result, job in session.execute(query):
        found[_key(result, job)].append(result.result)
    return found


def _key(result: TestResult, job: Job) -> _Key:
    return result.tool, result.name, job.group_id, job.system_id


def _compare(result: TestResult, job: Job, earlier: Sequence[int]) -> ComparedResult:
    now = result.result
    return ComparedResult(
        result=result,
        job=job,
        change=_change(now, earlier),
        age=next((number for number, before in enumerate(earlier) if before != now), len(earlier)),
        instability=sum(one != other for one, other in zip([now, *earlier], earlier, strict=False)),
    )


def _change(now: int, earlier: Sequence[int]) -> Change:
    if not earlier:
        return Change.NEW
    if now == PASSED != earlier[0]:
        return Change.FIX
    if now != PASSED == earlier[0]:
        return Change.REGRESSION
    return Change.NONE
