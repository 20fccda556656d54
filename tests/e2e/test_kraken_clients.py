"""Programs and exchanges that nobody here wrote, against the embedded server with kraken-fleet's agent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.kraken_server import KrakenServer
from tests.e2e.agent_at_server import AgentAtServer, agent_at, embedded_server, eventually
from tests.kraken_client import KKCI
from tests.s3_server import S3Server
from tests.stages import shell_job, stage_code
from tests.unique_names import unique_name

NAME = unique_name("from-kkci")
TOOL = {
    "name": NAME,
    "description": "Prints a greeting.",
    "location": "",
    "entry": "greeter",
    "parameters": {"properties": {"greeting": {"type": "string"}}, "required": ["greeting"]},
}
CODE = "def run(step):\n    print(step['greeting'] + ' from an uploaded tool', flush=True)\n    return 0, ''\n"
RNDTEST = stage_code({**shell_job("all", name="hello world"), "steps": [{"tool": "rndtest"}]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KrakenServer]:
    with embedded_server(tmp_path_factory.mktemp("server"), S3Server("127.0.0.1:9")) as found:
        yield found


@pytest.fixture(scope="module")
def agent(server: KrakenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentAtServer]:
    with agent_at(server, tmp_path_factory.mktemp("agent")) as found:
        yield found


@pytest.fixture
def tool_file(tmp_path: Path) -> Path:
    directory = tmp_path / "tool"
    directory.mkdir()
    (directory / "greeter.py").write_text(CODE)
    (directory / "tool.json").write_text(json.dumps(TOOL))
    return directory / "tool.json"


def kkci(server: KrakenServer, *arguments: str | Path) -> str:
    """What Kraken's client prints; its log goes to standard error."""
    address = server.url.replace("http://", f"http://{server.user}:{server.password}@")
    done = subprocess.run([KKCI, "-s", address, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_kkci_shows_the_version_and_the_tools(server: KrakenServer) -> None:
    assert kkci(server, "server-version").strip() == "1.7.36"
    listed = kkci(server, "tools", "list")
    assert [word for word in ("shell", "git", "pytest", "values_collect") if word not in listed] == []


def test_kkci_registers_and_uploads_a_tool_that_a_job_then_runs(
    server: KrakenServer, agent: AgentAtServer, tool_file: Path
) -> None:
    assert f"Stored tool {NAME}@1" in kkci(server, "tools", "register", tool_file)
    assert f"Uploaded tool {NAME}@2" in kkci(server, "tools", "upload", tool_file)
    versions = kkci(server, "tools", "list-versions", NAME)
    assert versions.count(NAME) == 2
    agent.run({"greet": [{"tool": NAME, "name": "greet", "greeting": "hello"}]})
    assert agent.outcomes["greet"].failures() == []
    assert "hello from an uploaded tool" in agent.outcomes["greet"].lines("greet")


def test_kkci_dumps_the_workflow_schema(server: KrakenServer, tmp_path: Path) -> None:
    kkci(server, "dump-workflow-schema", tmp_path / "schema.json")
    schema = json.loads((tmp_path / "schema.json").read_text())
    steps = schema["properties"]["jobs"]["items"]["properties"]["steps"]["items"]["oneOf"]
    assert {"tool"} == set.intersection(*(set(step["required"]) for step in steps))


def test_the_demo_project_runs_and_a_second_flow_is_compared_with_the_first(
    server: KrakenServer, agent: AgentAtServer
) -> None:
    demo = server.api("GET", "/projects").body["items"][0]
    assert flow(server, demo["branches"][0]["id"])["jobs_total"] == 1

    project = server.api("POST", "/projects", {"name": unique_name("compared")}).body
    branch = server.api("POST", f"/projects/{project['id']}/branches", {"name": "main"}).body["id"]
    made = server.api("POST", f"/branches/{branch}/stages", {"name": "tests", "schema_code": RNDTEST})
    assert made.status == 201, made.body

    first = flow(server, branch)
    assert (first["jobs_total"], first["tests_total"]) == (1, 10)
    assert (first["new_cnt"], first["regr_cnt"], first["fix_cnt"], first["no_change_cnt"]) == (10, 0, 0, 0)

    second = flow(server, branch)
    assert second["new_cnt"] == 0
    assert second["fix_cnt"] + second["regr_cnt"] + second["no_change_cnt"] == 10
    assert len(server.api("GET", f"/runs/{second['id']}/results").body["items"]) == 10


def flow(server: KrakenServer, branch: int) -> dict[str, Any]:
    """One flow of a branch; its only run, when that is over."""
    runs = server.api("POST", f"/branches/{branch}/flows/ci", {}).body["runs"]
    assert len(runs) == 1
    path = f"/runs/{runs[0]['id']}"
    run = eventually(lambda: server.api("GET", path).body, lambda found: bool(found["state"] == "processed"))
    return dict(run)
