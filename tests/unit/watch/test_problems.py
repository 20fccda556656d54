"""What counts as a problem, and what people read of it."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from pathlib import Path

from kraken_fleet.errors import ServerUnreachableError
from kraken_fleet.model import (
    Deploy,
    DesiredAgent,
    DesiredFleet,
    Disabling,
    GroupRef,
    HostNames,
    HostResult,
    Job,
    ObservedFleet,
)
from kraken_fleet.plan import make_plan
from kraken_fleet.reconcile import Event, Reading
from kraken_fleet.state import ReconcileResult
from kraken_fleet.watch import events
from kraken_fleet.watch.changes import Known
from kraken_fleet.watch.message import MOST_LINES, message_of
from kraken_fleet.watch.problems import Problem, Topic, problems_of, unreadable
from tests.unit.web.model_builders import NOW, an_agent

FLEET = DesiredFleet((DesiredAgent("build-1", "10.0.0.1"), DesiredAgent("build-2", "10.0.0.2")))


def _reading(*agents: object, jobs: tuple[Job, ...] = ()) -> Reading:
    observed = ObservedFleet(tuple(agents), (), waiting_jobs=jobs)  # type: ignore[arg-type]
    plan = make_plan(FLEET, observed, now=NOW)
    return Reading(NOW, observed.agents, waiting=jobs, names=HostNames(FLEET.by_address()), plan=plan)


def _found(reading: Reading, *more: object) -> set[tuple[Topic, str]]:
    ignored = {"all_group_missing"}
    return {(one.topic, one.subject) for one in problems_of(reading, *more) if one.kind not in ignored}  # type: ignore[arg-type]


def test_a_silent_agent_and_jobs_that_nobody_can_take_are_problems_by_host_and_group() -> None:
    job = Job(1, "j", 2, agents_group_name="gpu", created=NOW)
    found = _found(_reading(an_agent(1, silent_for=600), an_agent(2), jobs=(job,)))
    assert found == {(Topic.SILENT, "build-1"), (Topic.JOBS, "gpu")}


def test_an_agent_that_is_out_of_work_until_later_may_be_silent() -> None:
    def disabled(hours: int) -> object:
        why = Disabling("anna", NOW - timedelta(hours=1), NOW + timedelta(hours=hours), "a new disk")
        agent = an_agent(1, silent_for=600, disabled=True)
        return dataclasses.replace(agent, groups=(*agent.groups, GroupRef(9, why.group_name)))

    assert _found(_reading(disabled(2), an_agent(2))) == set()
    assert (Topic.SILENT, "build-1") in _found(_reading(disabled(-1), an_agent(2)))


def test_only_the_last_deploy_of_a_host_counts_and_looking_is_no_deploy() -> None:
    bad, good = HostResult(failed=1, message="no space left\nmore"), HostResult(ok=3)
    failed = Deploy("deploy-agents.yml", "2026-05-04T10:00:00Z", 3.0, hosts={"build-1": bad, "build-2": bad, "x": bad})
    mended = Deploy("deploy-agents.yml", "2026-05-04T11:00:00Z", 3.0, hosts={"build-2": good})
    looks = [
        Deploy("doctor.yml", "2026-05-04T11:30:00Z", 3.0, hosts={"build-2": bad}),
        Deploy("deploy-agents.yml", "2026-05-04T11:40:00Z", 3.0, check=True, hosts={"build-1": good}),
    ]
    reading = _reading(an_agent(1), an_agent(2))
    (problem,) = [one for one in problems_of(reading, [*looks, mended, failed]) if one.topic is Topic.DEPLOY]
    assert (problem.subject, problem.message) == (
        "build-1",
        "deploy-agents.yml of 2026-05-04T10:00:00Z failed: no space left",
    )


def test_drift_and_a_failed_reconciliation_are_one_problem_each() -> None:
    reading = _reading(an_agent(1, authorized=False), an_agent(2))
    result = ReconcileResult("2026-05-04T11:00:00Z", "2 agents are not as they should be", "Look", ("build-1", "b"))
    found = {one.topic: one.message for one in problems_of(reading, [], result)}
    assert found[Topic.DRIFT] == "the server is not as the inventory says: 1 authorize"
    assert found[Topic.RECONCILE].endswith("failed: 2 agents are not as they should be: build-1, b")
    well = ReconcileResult("2026-05-04T11:00:00Z")
    assert Topic.RECONCILE not in {one.topic for one in problems_of(reading, [], well)}


def test_one_message_tells_everything_by_topic_in_no_more_lines_than_people_read() -> None:
    silent = [Known(Problem(Topic.SILENT, f"h{number}", "it is silent", "Look"), NOW) for number in range(30)]
    server = Known(unreadable(ServerUnreachableError("refused", where="GET http://k/"), "http://k"), NOW)
    over = Known(Problem(Topic.JOBS, "gpu", "2 jobs wait\nX: a line of mine"), NOW - timedelta(minutes=12))
    message = message_of([*silent, server], [over], ["b: it was disabled by anna."], NOW, "http://k:80/bk/api")
    assert message is not None
    assert message.title == "Kraken fleet k: 31 problems, 1 over, 1 enabled again"
    assert message.severity == "error"
    lines = message.body.splitlines()
    assert lines.count("- and 10 more") == 1
    assert sum(line.endswith("it is silent. Look.") for line in lines) == MOST_LINES
    assert "- gpu, after 12 min: 2 jobs wait\\nX: a line of mine." in lines
    assert lines[-1] == "2026-05-04 12:00 UTC, http://k:80"
    assert message_of([], [], [], NOW, "http://k") is None


def test_the_documentation_names_each_topic_and_each_event() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "watch.md").read_text()
    words = {word for line in text.splitlines() if line.startswith("| `") for word in line.split("|")[1].split("`")}
    own = {re.sub(r"(?<!^)(?=[A-Z])", "_", one.__name__).lower() for one in vars(events).values() if _is_event(one)}
    assert {str(topic) for topic in Topic} | own <= words
    assert own == {"looked", "appeared", "over", "to_send", "sent", "not_sent"}


def _is_event(one: object) -> bool:
    return isinstance(one, type) and issubclass(one, Event) and not one.__name__.startswith(("_", "Event"))
