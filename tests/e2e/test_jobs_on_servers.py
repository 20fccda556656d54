"""What happens to a job while it runs, by our agent at the embedded server and at the unmodified one."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.kraken_server import TIMEOUT
from tests.e2e.agent_at_server import AgentAtServer, agent_at, embedded_server, eventually, real_kraken_server
from tests.git_servers import http_git
from tests.s3_server import S3Server
from tests.unique_names import unique_name

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
# Users' own tools: a server shares the names among all who test on it. The names of tests too: the real one answers 500
# when a tool reports a test that another tool has reported before (`test_cases_name_key`).
MODULE, ARCHIVE = (unique_name(kind, "_") for kind in ("module", "archive"))
GREETER = """\
def collect_tests(step):
    return [step["tool"] + ".good", step["tool"] + ".bad"]

def run_tests(step, report_result):
    for test in step["tests"]:
        print(step["word"], test)
        report_result({"test": test, "cmd": test, "status": 1 if test.endswith("good") else 2})
    return 0, ""
"""
CANCELLED_BY_USER = 8
LINES = 100_000
TOKEN, SECRET = "token-of-the-repository", "secret-of-the-webhook"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentAtServer]:
    home = tmp_path_factory.mktemp("site")
    settings = {"KRAKEN_TOOLS_DIRS": str(tools_dir(home / "tools"))}
    if request.param == "real":
        with agent_at(real_kraken_server(request.getfixturevalue("real_server")), home / "agent", **settings) as made:
            yield made
        return
    # No step here needs the store: a bundle of a repository is only a shortcut.
    with (
        embedded_server(home / "server", S3Server("127.0.0.1:9")) as server,
        agent_at(server, home / "agent", **settings) as made,
    ):
        yield made


def tools_dir(directory: Path) -> Path:
    """Make a tools directory with a tool that is a module, and one that is a zip file with what it needs."""
    directory.mkdir()
    (directory / f"kraken_{MODULE}.py").write_text(GREETER)
    with zipfile.ZipFile(directory / f"{ARCHIVE}.zip", "w") as archive:
        archive.writestr(
            f"kraken_{ARCHIVE}.py", "import words\ndef run(step):\n    print(words.TEXT)\n    return 0, ''\n"
        )
        archive.writestr("vendor/words.py", "TEXT = 'brought along'\n")
    return directory


def test_a_job_cancelled_during_its_tests_keeps_their_results(site: AgentAtServer, tmp_path: Path) -> None:
    suite, pid_file = tmp_path / "suite", tmp_path / "pid"
    suite.mkdir()
    (suite / "test_slow.py").write_text(TESTS)
    tests = {"tool": "pytest", "name": "tests", "pytest_exe": f"{sys.executable} -m pytest", "params": str(suite)}
    tests["pytest_exe"] = f"PID_FILE={pid_file} {tests['pytest_exe']}"
    run = site.start({"cancelled": [tests, {"tool": "shell", "name": "next", "cmd": "echo never"}]})
    job = eventually(lambda: site.jobs(run), lambda jobs: bool(jobs and len(reported(jobs[0])) == 2))[0]
    assert reported(job) == [("test_first", PASSED), ("test_second", FAILED)]
    pid = int(eventually(pid_file.read_text, lambda text: text.endswith("\n")))
    assert runs(pid)

    assert site.server.api("DELETE", f"/jobs/{job['id']}").status == 200
    eventually(lambda: runs(pid), lambda it_runs: not it_runs)
    site.run({"next": [{"tool": "shell", "name": "hello", "cmd": "echo hello"}]})

    assert site.outcomes["next"].lines("hello") == ["hello"]
    left = site.server.api("GET", f"/jobs/{job['id']}").body
    assert left["completion_status"] == CANCELLED_BY_USER
    assert [step["status"] for step in left["steps"]] == [ERROR, SKIPPED, SKIPPED]
    assert reported(left) == reported(job)
    eventually(lambda: counts(site, run), lambda found: found == (4, 1, 2))
    log = site.server.api("GET", f"/jobs/{job['id']}/logs?start=0&limit=1000").body["items"]
    assert not [line for line in log if line["message"] == "never"]


def test_users_tools_come_from_the_tools_directories(site: AgentAtServer) -> None:
    for name in (MODULE, ARCHIVE):
        known = {
            "name": name,
            "description": "",
            "location": "",
            "entry": "",
            "parameters": {"properties": {"word": {}}},
        }
        assert site.server.api("POST", "/tools", known).status == 201
    steps = [{"tool": MODULE, "name": "module", "word": "hello"}, {"tool": ARCHIVE, "name": "archive"}]
    site.run({"own tools": steps})
    done = site.outcomes["own tools"]
    assert done.failures() == []
    assert done.lines("module") == [f"hello {MODULE}.good", f"hello {MODULE}.bad"]
    assert done.lines("archive") == ["brought along"]
    eventually(lambda: counts(site, done.run), lambda found: found == (2, 1, 0))


def test_a_run_that_a_push_has_started_checks_the_pushed_commit_out(site: AgentAtServer, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "master", "work")
    before, pushed, _ = [commit(tmp_path / "work", text) for text in ("before", "pushed", "newer")]
    git(tmp_path, "clone", "-q", "--bare", "work", "project.git")
    if not site.flow:
        site.run({"first": []})
    with http_git(tmp_path, TOKEN) as http:
        site.keep_secret("git_token", secret=TOKEN)
        checkout = {"tool": "git", "checkout": f"{http.url}/project.git", "access-token": "git_token"}
        stage = site.stage({"pushed": [checkout, {"tool": "shell", "name": "look", "cmd": "cat project/a.txt"}]})
        allowed = {"webhooks": {"github_enabled": True, "github_secret": SECRET}}
        assert site.server.api("PUT", f"/projects/{site.workflow.project['id']}", allowed).status == 200
        push(site, http.url.replace("http:", "https:"), before=before, after=pushed)
        runs = eventually(
            lambda: [
                run for run in site.server.api("GET", f"/flows/{site.flow}/runs").body if run["stage_id"] == stage
            ],
            bool,
        )
        site.finish(int(runs[0]["id"]))
    assert site.outcomes["pushed"].failures() == []
    assert site.outcomes["pushed"].lines("look") == ["pushed"]


# The agent's half of it is tested without a server, in tests/unit/agent/test_logs.py.
@pytest.mark.parametrize("site", SERVERS[1:], indirect=True)
def test_a_hundred_thousand_lines_in_a_minute_arrive_complete_and_in_order(site: AgentAtServer) -> None:
    site.run({"many": [{"tool": "shell", "name": "many", "cmd": f"seq 1 {LINES}", "timeout": 120}]})
    done = site.outcomes["many"]
    assert done.failures() == []
    assert done.lines("many") == [str(number) for number in range(1, LINES + 1)]
    # The agent asks for the next step when the log has left, so this is the time that the lines took.
    begun, ended = (datetime.fromisoformat(done.job[name]) for name in ("started", "finished"))
    assert (ended - begun).total_seconds() <= 60, f"{begun} to {ended}"


def push(site: AgentAtServer, url: str, *, before: str, after: str) -> None:
    """Tell the server of a push, as GitHub does."""
    said = {
        "ref": f"refs/heads/{site.workflow.branch['branch_name']}",
        "before": before,
        "after": after,
        "repository": {"clone_url": f"{url}/project.git"},
        "pusher": {"name": "somebody"},
        "commits": [{"id": after}],
    }
    raw = json.dumps(said).encode()
    signature = "sha1=" + hmac.new(SECRET.encode(), raw, hashlib.sha1).hexdigest()
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "push", "X-Hub-Signature": signature}
    url = f"{site.server.url}/webhooks/{site.workflow.project['id']}/github"
    assert requests.post(url, data=raw, headers=headers, timeout=TIMEOUT).status_code == 204


def commit(directory: Path, text: str) -> str:
    """Commit a text in `a.txt`; the commit's name."""
    (directory / "a.txt").write_text(f"{text}\n")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", text)
    return git(directory, "rev-parse", "HEAD")


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    done = subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def reported(job: dict[str, Any]) -> list[tuple[str, int]]:
    """The results of the job's first step that the server has."""
    results = (job["steps"][0]["result"] or {}).get("test-results", [])
    return [(result["test"].rpartition("::")[2], result["status"]) for result in results]


def counts(site: AgentAtServer, run: int) -> tuple[int, int, int]:
    """How many tests a run has, how many passed, and how many did not run."""
    shown = site.server.api("GET", f"/runs/{run}").body
    return shown["tests_total"], shown["tests_passed"], shown["tests_not_run"]


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
