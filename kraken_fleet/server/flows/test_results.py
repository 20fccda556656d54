"""Tests of a job: dispatched before they run, their results as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kraken_fleet.server.flows.job_making import copy_job
from kraken_fleet.server.store.tables import Job, Step, TestResult


def names(session: Session, job: Job) -> list[str]:
    """Return the tests that were dispatched to a job."""
    return list(session.scalars(select(TestResult.name).where(TestResult.job_id == job.id).order_by(TestResult.id)))


def dispatch(session: Session, step: Step, tests: list[str]) -> list[str]:
    """Return the tests that this job is to run. With `autosplit` the second half goes to a job of its own."""
    job = step.job
    if len(tests) == 1 or not step.fields.get("autosplit"):
        _record(session, job, step.tool.name, tests)
        return tests
    half = len(tests) // 2
    _record(session, job, step.tool.name, tests[:half])
    # Six tenths of the time, at least a minute: what the real server gives the other half.
    other = copy_job(session, job, max(int(job.timeout * 0.6), 60))
    _record(session, other, step.tool.name, tests[half:])
    return tests[:half]


def store(session: Session, job: Job, tool: str, results: Iterable[Mapping[str, Any]]) -> None:
    """Keep results as they are reported, for tests dispatched before or not."""
    rows = {row.name: row for row in session.scalars(select(TestResult).where(TestResult.job_id == job.id))}
    for result in results:
        row = rows.get(result["test"])
        if row is None:
            row = rows[result["test"]] = TestResult(job_id=job.id, tool=tool, name=result["test"])
            session.add(row)
        row.cmd_line, row.result, row.values = result.get("cmd"), result["status"], result.get("values")


def _record(session: Session, job: Job, tool: str, tests: Iterable[str]) -> None:
    session.add_all(TestResult(job_id=job.id, tool=tool, name=test) for test in tests)
