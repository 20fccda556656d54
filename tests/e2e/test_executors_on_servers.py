"""Jobs in containers, by our agent at the embedded server and at the unmodified one, with real engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from kraken_agent.executors.container.executor import ContainerExecutor
from kraken_agent.executors.docker.executor import DockerExecutor
from kraken_agent.executors.lxd.executor import LxdExecutor

from tests.e2e.agent_at_server import AgentAtServer, Outcome, agent_at, embedded_server, eventually, real_kraken_server

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import LXD_ALIAS, WITH_PYTHON, docker_images, lxd_image  # noqa: F401 - fixtures, used by name
from tests.s3_server import S3Server

SERVERS = ["embedded", pytest.param("real", marks=pytest.mark.real_server)]
STEPS: list[dict[str, Any]] = [
    {
        "tool": "shell",
        "name": "hello",
        "cmd": "mkdir -p sub && echo $WORD && pwd && test ! -e /usr/local/nowhere",
        "env": {"WORD": "hello wörld"},
    },
    {"tool": "shell", "name": "in a directory", "cmd": "basename $PWD", "cwd": "sub"},
    {"tool": "shell", "name": "a script", "script": "echo one\necho ${BASH_VERSION:+bash}\n"},
    {"tool": "shell", "name": "a user", "cmd": "id -un", "user": "games"},
    {"tool": "rndtest", "name": "a tool", "count": 3, "override_result": 1},
    {"tool": "shell", "name": "many", "cmd": "seq 1 3000"},
    {"tool": "shell", "name": "fails", "cmd": "echo begun; exit 3"},
    {"tool": "shell", "name": "left out", "cmd": "echo never"},
]
IN_PROGRESS, FAILED, SKIPPED = 1, 3, 4

pytestmark = pytest.mark.timeout(600)


class Kind(NamedTuple):
    """An executor, an image for it, and the fixture that makes the image."""

    executor: type[ContainerExecutor]
    image: str
    fixture: str


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentAtServer]:
    home = tmp_path_factory.mktemp("site")
    if request.param == "real":
        with agent_at(real_kraken_server(request.getfixturevalue("real_server")), home / "agent") as made:
            yield made
        return
    # No step here needs the store.
    with embedded_server(home / "server", S3Server("127.0.0.1:9")) as server, agent_at(server, home / "agent") as made:
        yield made


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Kind(DockerExecutor, WITH_PYTHON, "docker_images"), marks=pytest.mark.docker, id="docker"),
        pytest.param(Kind(LxdExecutor, LXD_ALIAS, "lxd_image"), marks=pytest.mark.lxd, id="lxd"),
    ],
)
def kind(request: pytest.FixtureRequest) -> Kind:
    given: Kind = request.param
    request.getfixturevalue(given.fixture)
    return given


@pytest.fixture(scope="module")
def outcome(kind: Kind, site: AgentAtServer) -> Outcome:
    """One job with all steps."""
    site.run({kind.executor.name: STEPS}, system=kind.image, executor=kind.executor.name)
    return site.outcomes[kind.executor.name]


def test_steps_run_in_a_container_with_environment_directory_and_user(outcome: Outcome) -> None:
    assert outcome.lines("hello")[0] == "hello wörld"
    assert outcome.lines("in a directory") == ["sub"]
    assert outcome.lines("a script")[-1] == "bash"
    assert outcome.lines("a user") == ["games"]


def test_a_tool_runs_in_the_container(outcome: Outcome) -> None:
    assert len(outcome.lines("a tool")) == 3
    assert all(line.endswith(": 1") for line in outcome.lines("a tool"))


def test_output_comes_whole_and_in_order(outcome: Outcome) -> None:
    assert outcome.lines("many") == [str(number) for number in range(1, 3001)]


def test_a_step_that_fails_is_told_and_the_rest_is_left_out(outcome: Outcome) -> None:
    assert outcome.lines("fails") == ["begun"]
    assert [(name, result and result["reason"]) for name, result in outcome.failures()] == [
        ("fails", "retcode"),
        ("left out", None),
    ]
    assert (outcome.step("fails")["status"], outcome.step("left out")["status"]) == (FAILED, SKIPPED)


def test_nothing_is_left_when_the_job_is_over(site: AgentAtServer, kind: Kind, outcome: Outcome) -> None:
    assert outcome.job["id"]
    eventually(lambda: kind.executor.containers(site.agent.installation), lambda found: found == [])


def test_the_container_of_an_agent_that_was_killed_is_gone_when_it_is_back(site: AgentAtServer, kind: Kind) -> None:
    steps = [{"tool": "shell", "name": "long", "cmd": "sleep 100", "timeout": 200}]
    run = site.start({f"{kind.executor.name} killed": steps}, system=kind.image, executor=kind.executor.name)
    eventually(lambda: site.jobs(run), lambda jobs: jobs and jobs[0]["steps"][0]["status"] == IN_PROGRESS)
    (left,) = kind.executor.containers(site.agent.installation)
    site.agent.kill()
    for job in site.jobs(run):
        assert site.server.api("DELETE", f"/jobs/{job['id']}").status == 200
    assert kind.executor.containers(site.agent.installation) == [left]
    site.agent.start()
    eventually(lambda: kind.executor.containers(site.agent.installation), lambda found: found == [])
