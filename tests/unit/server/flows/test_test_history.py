"""Tests of a run compared with those of the flows before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.server.conftest import Api, HandAgent, job_spec
from tests.waiting import eventually

NOT_RUN, PASSED, FAILED = 0, 1, 2
COUNTS = ("new_cnt", "no_change_cnt", "regr_cnt", "fix_cnt")


class Tests:
    """A stage whose one job reports the results that a test wants."""

    __test__ = False

    def __init__(self, api: Api, group: str) -> None:
        self.api = api
        self.agent = HandAgent(api).enrol(api.group(group))
        self.stage = api.stage([job_spec({"tool": "rndtest"}, group=group)])

    def flow(self, kind: str = "ci", **results: int) -> dict[str, Any]:
        """One flow with these results; gives its run when it is over."""
        path = f"/api/branches/{self.stage['branch']}/flows/{kind}"
        run = self.api.call("POST", path, {}).json()["runs"][0]
        job = eventually(self.agent.job)
        index = self.agent.say("get-job-step")["job_step"]["index"]
        told = [{"test": name, "cmd": "t", "status": status} for name, status in results.items()]
        about = {"job_id": job["id"], "step_idx": index}
        result = {"status": "done", "duration": 1, "test-results": told}
        self.agent.say("step-result2", **about, result=result)
        assert self.agent.say("get-job-step")["job_step"]["finish"]
        return dict(self.api.get(f"/runs/{run['id']}"))

    def results(self, run: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        return list(self.api.get(f"/runs/{run['id']}/results?{query}")["items"])


def counts(run: dict[str, Any]) -> tuple[int, ...]:
    return tuple(run[name] for name in COUNTS)


def test_the_first_flow_has_only_new_results(api: Api) -> None:
    tests = Tests(api, "history-first")
    run = tests.flow(a=PASSED, b=FAILED)
    assert counts(run) == (2, 0, 0, 0)
    assert [(one["test_case_name"], one["change"], one["age"]) for one in tests.results(run)] == [
        ("a", 3, 0),
        ("b", 3, 0),
    ]


def test_a_later_flow_tells_what_was_fixed_and_what_got_worse(api: Api) -> None:
    tests = Tests(api, "history-later")
    tests.flow(fixed=FAILED, worse=PASSED, same=PASSED, still=FAILED)
    run = tests.flow(fixed=PASSED, worse=FAILED, same=PASSED, still=NOT_RUN, new=PASSED)
    assert counts(run) == (1, 2, 1, 1)
    changes = {one["test_case_name"]: one["change"] for one in tests.results(run)}
    assert changes == {"fixed": 1, "worse": 2, "same": 0, "still": 0, "new": 3}


def test_age_counts_equal_results_and_instability_counts_changes(api: Api) -> None:
    tests = Tests(api, "history-age")
    for result in (FAILED, PASSED, FAILED, FAILED):
        run = tests.flow(t=result)
    (one,) = tests.results(run)
    assert (one["age"], one["instability"], one["relevancy"]) == (1, 2, 5)


def test_a_dev_flow_is_compared_with_ci_flows_only(api: Api) -> None:
    tests = Tests(api, "history-dev")
    tests.flow(t=PASSED)
    tests.flow("dev", t=FAILED)
    assert counts(tests.flow("dev", t=PASSED)) == (0, 1, 0, 0)


def test_nothing_is_compared_while_a_run_goes_on(api: Api) -> None:
    stage = api.stage([job_spec({"tool": "rndtest"})])
    assert counts(api.get(f"/runs/{api.run(stage)['id']}")) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("statuses=2", ["b"]),
        ("statuses=1,0", ["a", "c"]),
        ("changes=0", []),
        ("test_case_text=B", ["b"]),
        ("min_age=1", []),
        ("max_instability=0", ["a", "b", "c"]),
        ("job=j", ["a", "b", "c"]),
        ("job=999999", []),
        ("sort_field=result&sort_dir=desc", ["b", "a", "c"]),
        ("start=1&limit=1", ["b"]),
    ],
)
def test_results_are_filtered_sorted_and_paged(api: Api, query: str, names: list[str]) -> None:
    tests = Tests(api, f"history-{abs(hash(query))}")
    run = tests.flow(a=PASSED, b=FAILED, c=NOT_RUN)
    assert [one["test_case_name"] for one in tests.results(run, query)] == names


def test_a_filter_that_is_no_number_is_refused(api: Api) -> None:
    answer = api.call("GET", f"/api/runs/{Tests(api, 'history-bad').flow(a=PASSED)['id']}/results?statuses=x")
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "Wrong type, expected 'array' for query parameter 'statuses'",
    )
