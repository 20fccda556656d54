"""Every tool in a job of our agent, at the embedded server and at the unmodified one, with a real object store and git.

Of programs that a machine need not have (Go, Angular, cloc) it is what they wrote where they are missing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent_at_server import AgentAtServer, Outcome, agent_at, embedded_server, eventually, real_kraken_server

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.tool_programs import put_projects, stand_ins
from tests.git_servers import http_git, ssh_git
from tests.s3_server import S3Server, s3_server

TOKEN = "very-secret-token"
LINES = 12_000
SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.real_server)]

JUNIT = (
    '<testsuite><testcase classname="c" name="a"/><testcase classname="c" name="b"><failure/></testcase></testsuite>'
)
pytestmark = pytest.mark.timeout(600)


def materials(home: Path) -> Path:
    """What the job copies into its directory."""
    files = {
        "tests/test_it.py": "def test_good():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n",
        "junit.xml": JUNIT,
        "values.json": '{"speed": 3.5}',
        "data.json": '{"answer": 42}',
        "deps/lib.txt": "kept in the cache\n",
        "out/a/report.txt": "from the first run\n",
        "mine/entry.py": "import helper\ndef run(step):\n    print(helper.TEXT, step['word'])\n    return 0, ''\n",
        "mine/vendor/helper.py": "TEXT = 'brought along'\n",
        "a.py": "import os\n",
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    put_projects(home)
    with zipfile.ZipFile(home / "out/tool.zip", "w") as archive:
        archive.writestr("greeter.py", "import words\ndef run(step):\n    print(words.TEXT)\n    return 0, ''\n")
        archive.writestr("vendor/words.py", "TEXT = 'hello from the store'\n")
    return home


def steps(home: Path, http: str, ssh: str) -> list[dict[str, Any]]:
    """The first run."""
    return [
        {"tool": "shell", "name": "prepare", "cmd": f"cp -r {home}/. . && echo $WORD", "env": {"WORD": "prepared"}},
        {
            "tool": "git",
            "name": "git with a token",
            "checkout": f"{http}/project.git",
            "access-token": "git_token",
            "destination": "by-token",
            "git_cfg": {"user.email": "job@example.com"},
        },
        {
            "tool": "git",
            "name": "git with a key",
            "checkout": ssh,
            "ssh-key": "git_key",
            "destination": "by-key",
            "branch": "stable",
        },
        {"tool": "git", "name": "git again", "checkout": ssh, "ssh-key": "git_key", "destination": "again"},
        {"tool": "shell", "name": "look", "cmd": "cat by-token/a.txt by-key/a.txt; git -C by-token config user.email"},
        {"tool": "artifacts", "name": "upload", "source": ["out/**", "junit.xml"]},
        {"tool": "cache", "name": "save", "action": "save", "key": "deps", "paths": ["deps"]},
        {"tool": "shell", "name": "lose", "cmd": "rm -r deps"},
        {"tool": "cache", "name": "restore", "action": "restore", "keys": ["deps"]},
        {"tool": "shell", "name": "have again", "cmd": "cat deps/lib.txt"},
        {"tool": "pytest", "name": "python tests", "pytest_exe": f"{sys.executable} -m pytest", "params": "tests"},
        {"tool": "gotest", "name": "go tests", "go_exe": "go", "params": "./...", "cwd": "go"},
        {"tool": "junit_collect", "name": "junit", "file_glob": "*.xml"},
        {"tool": "values_collect", "name": "values", "files": [{"name": "values.json", "namespace": "perf"}]},
        {"tool": "data", "name": "data", "operation": "set", "scope": "flow", "file": "data.json", "json_pointer": "/"},
        {
            "tool": "pylint",
            "name": "python issues",
            "pylint_exe": f"{sys.executable} -m pylint",
            "rcfile": "",
            "modules_or_packages": "a.py",
        },
        {"tool": "nglint", "name": "angular issues", "cwd": "angular"},
        {"tool": "cloc", "name": "lines of code", "cwd": "go"},
        {"tool": "rndtest", "name": "random tests", "count": 5},
        {
            "tool": "local_tool",
            "name": "own tool",
            "tool_location": "mine",
            "tool_entry": "entry",
            "word": "by the job",
        },
    ]


def second_steps(branch: int, flow: int, run: int) -> list[dict[str, Any]]:
    """Another run of the same flow: it gets what the first has stored."""
    store = f"minio:{branch:08d}/{flow}/{run}/out/tool.zip"
    return [
        {"tool": "artifacts", "name": "download", "action": "download", "source": "out", "destination": "got"},
        {"tool": "shell", "name": "look", "cmd": "cat got/out/a/report.txt"},
        {"tool": "local_tool", "name": "tool in the store", "tool_location": store, "tool_entry": "greeter"},
    ]


LOG_STEPS: list[dict[str, Any]] = [
    {"tool": "shell", "name": "many", "cmd": f"seq 1 {LINES}", "timeout": 120},
    {"tool": "shell", "name": "long", "cmd": "for i in $(seq 5000); do printf 'żółw€'; done; echo; echo short"},
    {"tool": "shell", "name": "no text", "cmd": r"printf 'a\377\376b\n\200\n'; echo text"},
    {"tool": "shell", "name": "secret", "cmd": f"printf 'a {TOKEN[:6]}'; sleep 0.3; printf '{TOKEN[6:]} b\\n'"},
]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentAtServer]:
    """All jobs of this file, done at one server."""
    home = tmp_path_factory.mktemp("site")
    prepared = materials(home / "materials")
    path = f"{stand_ins(home / 'bin')}{os.pathsep}{os.environ['PATH']}"
    if request.param == "real":
        with agent_at(real_kraken_server(request.getfixturevalue("real_server")), home / "agent", PATH=path) as made:
            run_all(made, home, prepared)
            yield made
        return
    s3: S3Server = request.getfixturevalue("s3")
    with embedded_server(home / "server", s3) as server, agent_at(server, home / "agent", PATH=path) as made:
        for kind in ("", "-git", "-cache"):
            s3.client().make_bucket(f"{made.branch:08d}{kind}")
        run_all(made, home, prepared)
        yield made


def run_all(site: AgentAtServer, home: Path, prepared: Path) -> None:
    work = home / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "master")
    for text in ("one", "two"):
        (work / "a.txt").write_text(text + "\n")
        git(work, "add", ".")
        git(work, "commit", "-q", "-m", text)
        if text == "one":
            git(work, "branch", "stable")
    git(home, "clone", "-q", "--bare", "work", "project.git")
    (home / "sshd").mkdir()
    with http_git(home, TOKEN) as http, ssh_git(home / "sshd") as ssh:
        site.keep_secret("git_token", secret=TOKEN)
        site.keep_secret("git_key", username=ssh.user, key=ssh.key)
        address = f"ssh://{ssh.user}@127.0.0.1:{ssh.port}{home}/project.git"
        site.run({"tools": steps(prepared, http.url, address), "logs": LOG_STEPS})
    site.run({"second": second_steps(site.branch, site.flow, site.outcomes["tools"].run)})


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def tools(site: AgentAtServer) -> Outcome:
    return site.outcomes["tools"]


@pytest.fixture
def logs(site: AgentAtServer) -> Outcome:
    return site.outcomes["logs"]


def test_every_step_of_every_job_ends_well(site: AgentAtServer) -> None:
    assert {name: outcome.failures() for name, outcome in site.outcomes.items()} == {
        "tools": [],
        "logs": [],
        "second": [],
    }


def test_a_step_has_its_variables(tools: Outcome) -> None:
    assert tools.lines("prepare") == ["prepared"]


def test_repositories_come_with_a_token_and_with_a_key_to_the_wanted_branch(tools: Outcome) -> None:
    assert tools.lines("look") == ["two", "one", "job@example.com"]


def test_a_repository_comes_from_the_bundle_in_the_store_the_second_time(tools: Outcome) -> None:
    assert any("bundle" in line for line in tools.lines("git again")), tools.lines("git again")


def test_a_cache_is_restored(tools: Outcome) -> None:
    assert tools.lines("have again") == ["kept in the cache"]


def test_artifacts_of_an_earlier_run_of_the_flow_are_downloaded(site: AgentAtServer) -> None:
    assert site.outcomes["second"].lines("look") == ["from the first run"]


def test_users_own_tools_run_from_the_jobs_directory_and_from_the_store(site: AgentAtServer, tools: Outcome) -> None:
    assert tools.lines("own tool") == ["brought along by the job"]
    assert site.outcomes["second"].lines("tool in the store") == ["hello from the store"]


def test_programs_find_what_there_is_to_find(tools: Outcome) -> None:
    assert "--- PASS: TestAdd" in "".join(tools.lines("go tests"))
    assert tools.lines("python issues")[1:] == ["a.py:1  Missing module docstring", "a.py:1  Unused import os"]
    assert tools.lines("angular issues")[-1] == "src/a.ts:2  Unexpected 'debugger' statement."
    assert tools.lines("lines of code")[1:] == [
        "Go: 15 lines of code in 2 files",
        "SUM: 15 lines of code in 2 files",
    ]


def test_the_server_counts_what_was_found(site: AgentAtServer, tools: Outcome) -> None:
    # pytest, go, JUnit, values, cloc, random tests.
    tests = 2 + 3 + 2 + 1 + 2 + 5
    # The embedded server keeps no issues; the others are pylint's and Angular's.
    issues = 2 + 1 if site.server.kind == "real" else 0
    shown = eventually(
        lambda: site.server.api("GET", f"/runs/{tools.run}").body, lambda run: run["tests_total"] == tests
    )
    assert shown["issues_total"] == issues


def test_lines_arrive_complete_and_in_order(logs: Outcome) -> None:
    assert logs.lines("many") == [str(number) for number in range(1, LINES + 1)]


def test_long_lines_are_split_between_characters(logs: Outcome) -> None:
    *pieces, short = logs.lines("long")
    assert len(pieces) > 1
    assert "".join(pieces) == "żółw€" * 5000
    assert short == "short"


def test_bytes_that_are_no_text_do_no_harm(logs: Outcome) -> None:
    assert logs.lines("no text") == ["a\ufffd\ufffdb", "\ufffd", "text"]


def test_a_secret_of_the_project_is_masked_although_it_comes_in_two_pieces(logs: Outcome) -> None:
    assert logs.lines("secret") == ["a ****** b"]
    assert not [entry for entry in logs.log if TOKEN in entry["message"]]
