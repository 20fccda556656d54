"""What happens to a job while it runs, by our agent at the embedded server and at the unmodified one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.job_site import Site, agent_at, embedded_door, eventually, real_door
from s3_server import S3Server

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.real_server)]
# Two tests that are over at once, one that would take an hour, one that would come after it.
TESTS = """\
import os, time

def test_first():
    pass

def test_second():
    assert 1 == 2

def test_an_hour():
    with open(os.environ["PID_FILE"], "w") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(3600)

def test_never():
    pass
"""
PASSED, FAILED = 1, 2
ERROR, SKIPPED = 3, 4
CANCELLED_BY_USER = 8

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    if request.param == "real":
        with agent_at(real_door(request.getfixturevalue("real_server")), home / "agent") as made:
            yield made
        return
    # No step here needs the store.
    with embedded_door(home / "server", S3Server("127.0.0.1:9")) as door, agent_at(door, home / "agent") as made:
        yield made


def test_a_job_that_is_cancelled_while_its_tests_run_keeps_their_results_and_the_agent_takes_the_next(
    site: Site, tmp_path: Path
) -> None:
    suite, pid_file = tmp_path / "suite", tmp_path / "pid"
    suite.mkdir()
    (suite / "test_slow.py").write_text(TESTS)
    tests = {"tool": "pytest", "name": "tests", "pytest_exe": f"{sys.executable} -m pytest", "params": str(suite)}
    tests["pytest_exe"] = f"PID_FILE={pid_file} {tests['pytest_exe']}"
    run = site.start({"cancelled": [tests, {"tool": "shell", "name": "next", "cmd": "echo never"}]})
    job = eventually(lambda: site.jobs(run), lambda jobs: bool(jobs and reported(jobs[0])))[0]
    assert reported(job) == [("test_first", PASSED), ("test_second", FAILED)]
    pid = int(eventually(pid_file.read_text, lambda text: text.endswith("\n")))
    assert runs(pid)

    assert site.door.api("DELETE", f"/jobs/{job['id']}").status == 200
    eventually(lambda: runs(pid), lambda it_runs: not it_runs)
    site.run({"next": [{"tool": "shell", "name": "hello", "cmd": "echo hello"}]})

    assert site.outcomes["next"].lines("hello") == ["hello"]
    left = site.door.api("GET", f"/jobs/{job['id']}").body
    assert left["completion_status"] == CANCELLED_BY_USER
    assert [step["status"] for step in left["steps"]] == [ERROR, SKIPPED, SKIPPED]
    assert reported(left) == reported(job)
    counted = site.door.api("GET", f"/runs/{run}").body
    assert (counted["tests_total"], counted["tests_passed"], counted["tests_not_run"]) == (4, 1, 2)
    log = site.door.api("GET", f"/jobs/{job['id']}/logs?start=0&limit=1000").body["items"]
    assert not [line for line in log if line["message"] == "never"]


def reported(job: dict[str, Any]) -> list[tuple[str, int]]:
    """The results of the job's first step that the server has."""
    results = (job["steps"][0]["result"] or {}).get("test-results", [])
    return [(result["test"].rpartition("::")[2], result["status"]) for result in results]


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
