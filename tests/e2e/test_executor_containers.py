"""Steps in real containers: what the executors of Docker and of LXD must both do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kraken_agent.executors.container.executor import ContainerExecutor
from kraken_agent.executors.docker.executor import DockerExecutor
from kraken_agent.executors.lxd.executor import LxdExecutor

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import LXD_ALIAS, WITH_PYTHON, docker_images, lxd_image  # noqa: F401 - fixtures, used by name
from tests.e2e.executor_child import ChildError, Job
from tests.waiting import eventually

ADDRESS = f"test-{os.getpid()}"
ENTRY = {"tool": "local_tool", "tool_location": "mine", "tool_entry": "entry"}

# The first test waits for the image to be made.
pytestmark = pytest.mark.timeout(300)


class Kind(NamedTuple):
    """An executor, an image with Python for it, and the fixture that makes the image."""

    executor: type[ContainerExecutor]
    image: str
    fixture: str


DOCKER = Kind(DockerExecutor, WITH_PYTHON, "docker_images")
LXD = Kind(LxdExecutor, LXD_ALIAS, "lxd_image")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(DOCKER, marks=pytest.mark.docker, id="docker"),
        pytest.param(LXD, marks=pytest.mark.lxd, id="lxd"),
    ],
)
def kind(request: pytest.FixtureRequest) -> Kind:
    given: Kind = request.param
    request.getfixturevalue(given.fixture)
    return given


@pytest.fixture(scope="module")
def container(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """One container for all tests of a kind: making one takes seconds."""
    made = Job(kind.executor, tmp_path_factory.mktemp("data") / "jobs/1", kind.image, ADDRESS)
    made.prepare()
    yield made
    made.cleanup()
    assert kind.executor.containers(ADDRESS) == []


@pytest.fixture
def job(container: Job) -> Job:
    container.log.clear()
    return container


def bring_tool(job: Job, source: str) -> None:
    """A tool that the job itself has, in its directory."""
    assert job.shell('mkdir -p mine && printf %s "$SOURCE" > mine/entry.py', env={"SOURCE": source}) == 0


def test_a_step_runs_with_its_environment_directory_and_exit_code(job: Job) -> None:
    job.shell("mkdir sub")
    code = job.shell('echo "$GREETING"; echo to error >&2; pwd; exit 7', env={"GREETING": "hello wörld"}, cwd="sub")
    assert code == 7
    assert job.lines() == ["hello wörld", "to error", f"{job.directory}/sub"]


def test_a_directory_that_does_not_exist_is_named(job: Job) -> None:
    assert job.shell("true", cwd="nowhere") != 0
    assert "nowhere" in "\n".join(job.lines())


def test_a_script_stops_at_its_first_error_as_upstreams_does(job: Job) -> None:
    assert job.script("echo one\nfalse\necho two\n") == 1
    assert job.lines() == ["+ echo one", "one", "+ false"]


def test_output_comes_line_by_line_while_the_step_runs(job: Job) -> None:
    job.shell("echo one; sleep 1; echo two; sleep 1; printf three")
    assert job.lines() == ["one", "two", "three"]
    assert job.log[1].at - job.log[0].at > 0.7
    assert job.log[2].at - job.log[1].at > 0.7


def test_no_output_is_lost_however_soon_it_comes(job: Job) -> None:
    for number in range(10):
        job.shell(f"echo {number}")
    assert job.lines() == [str(number) for number in range(10)]


def test_much_output_arrives_whole_and_in_order(job: Job) -> None:
    job.shell("seq 1 100000")
    assert job.lines() == [str(number) for number in range(1, 100001)]


def test_a_stopped_step_ends_with_everything_it_started_within_the_agents_patience(job: Job) -> None:
    started = time.monotonic()
    assert job.shell("trap '' TERM; setsid sleep 301 & sleep 302", stop_after=0.7) == -15
    assert time.monotonic() - started < 5.7
    job.log.clear()
    job.shell("cat /proc/[0-9]*/cmdline 2>&1 | tr '\\0' ' '")
    assert "sleep 30" not in job.lines()[-1]


def test_a_daemon_that_a_step_leaves_is_there_for_the_next_step(job: Job) -> None:
    started = time.monotonic()
    assert job.shell("sleep 200 & echo started") == 0
    assert time.monotonic() - started < 4
    job.shell("cat /proc/[0-9]*/cmdline 2>&1 | tr '\\0' ' ' | grep -c '^.*sleep 200 '")
    assert job.lines() == ["started", "1"]


def test_a_user_can_be_given_and_may_write_in_the_jobs_directory(job: Job) -> None:
    assert job.shell("id -un; touch mine.txt; stat -c %U mine.txt", user="games") == 0
    assert job.lines() == ["games", "games"]


def test_an_unknown_user_is_named(job: Job) -> None:
    with pytest.raises(ChildError, match="nobody-here"):
        job.shell("true", user="nobody-here")


def test_a_step_has_its_ssh_key_in_an_agent_and_nowhere_else(job: Job, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the key", "-f", tmp_path / "key"], check=True)
    key = (tmp_path / "key").read_text()
    assert job.shell("ssh-add -l; exit 5", ssh_key=key) == 5
    assert "the key (ED25519)" in job.lines()[-1]
    line = key.splitlines()[1]
    assert job.shell(f"grep -r -l -s -e '{line[:20]}''{line[20:40]}' /tmp /root /opt /home .") == 1
    assert job.shell("cat /proc/[0-9]*/comm | grep ssh-agent") == 1


def test_a_tool_runs_through_kktool_with_its_messages_and_its_log_apart(job: Job) -> None:
    step = {"tool": "rndtest", "tests": ["a", "b"], "override_result": 1}
    assert job.tool("get_commands", step) == [{"status": "done", "commands": ["collect_tests", "run_tests"]}]
    sent = job.tool("run_tests", step)
    assert [message["status"] for message in sent] == ["in-progress", "done"]
    assert [result["test"] for result in sent[0]["test-results"]] == ["a", "b"]
    assert job.lines() == ["a: 1", "b: 1"]


def test_git_runs_in_the_container(job: Job) -> None:
    job.shell("git init -q -b master up && cd up && git -c user.name=a -c user.email=b commit -q --allow-empty -m x")
    assert job.tool("run", {"tool": "git", "checkout": "./up", "destination": "down"}) == [{"status": "done"}]
    assert job.shell("test -d down/.git") == 0


def test_a_tool_that_the_job_brings_along_is_found(job: Job) -> None:
    bring_tool(job, "def run(step):\n    print('hello')\n    return 3, 'no'\n")
    assert job.tool("get_commands", ENTRY) == [{"status": "done", "commands": ["run"]}]
    (final,) = job.tool("run", ENTRY)
    assert (final["reason"], final["retcode"], final["msg"]) == ("retcode", 3, "no")
    assert job.lines() == ["hello"]


def test_a_tool_of_a_tools_directory_is_copied_with_its_vendor_directory(job: Job, tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir(parents=True)
    (tmp_path / "kraken_mine.py").write_text("import helper\ndef run(step):\n    return 0, helper.TEXT\n")
    (tmp_path / "vendor/helper.py").write_text("TEXT = ''\n")
    for command in ("get_commands", "run"):
        (final,) = job.tool(command, {"tool": "mine"}, tools_dirs=[str(tmp_path)])
        assert final["status"] == "done"


def test_a_tool_that_dies_without_a_word_is_an_error(job: Job) -> None:
    bring_tool(job, "import os\ndef run(step):\n    os._exit(9)\n")
    (final,) = job.tool("run", ENTRY)
    assert "ended without a result, exit code 9" in final["msg"]


def test_a_stopped_tool_ends_with_what_it_started(job: Job) -> None:
    bring_tool(job, "import subprocess\ndef run(step):\n    subprocess.run(['sleep', '303'])\n    return 0, ''\n")
    job.tool("run", ENTRY, stop_after=1.5)
    job.log.clear()
    job.shell("cat /proc/[0-9]*/cmdline 2>&1 | tr '\\0' ' '")
    assert "sleep 303" not in job.lines()[-1]


def test_secrets_of_a_step_are_in_no_command_line_of_the_container(job: Job) -> None:
    bring_tool(
        job,
        "import glob\ndef run(step):\n"
        "    print(''.join(open(p).read() for p in glob.glob('/proc/[0-9]*/cmdline')))\n    return 0, ''\n",
    )
    job.tool("run", {**ENTRY, "access-token": "very-secret"})
    assert "kktool" in "".join(job.lines())
    assert "very-secret" not in "".join(job.lines())


def test_an_image_that_is_nowhere_is_named_and_nothing_is_left(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_LXD_REMOTE", "https://127.0.0.1:9")
    address = f"{ADDRESS}-nowhere"
    job = Job(kind.executor, tmp_path / "jobs/2", "127.0.0.1:9/no/such-image", address, 2)
    with pytest.raises(ChildError, match=r"127\.0\.0\.1:9/no/such-image cannot be (pulled|made)"):
        job.prepare()
    job.cleanup()
    assert kind.executor.containers(address) == []


def test_what_a_killed_agent_left_is_swept_and_only_that(kind: Kind, container: Job, tmp_path: Path) -> None:
    address = f"{ADDRESS}-other"
    job = Job(kind.executor, tmp_path / "jobs/3", kind.image, address, 3)
    job.prepare()
    assert len(kind.executor.containers(address)) == 1
    kind.executor.sweep(address)
    assert kind.executor.containers(address) == []
    assert len(kind.executor.containers(ADDRESS)) == 1


def test_the_engine_is_detected_without_its_library_being_imported(kind: Kind) -> None:
    package = kind.executor.package or "docker"
    code = (
        f"import sys; from {kind.executor.__module__} import {kind.executor.__name__} as executor;"
        f"print(executor.detect(), executor.containers('x'), '{package}' in sys.modules)"
    )
    # It asks with little patience, and the engine of a busy machine may take longer.
    done = eventually(
        lambda: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False),
        lambda process: process.returncode == 0,
    )
    version, found, imported = done.stdout.split()
    assert (version, found, imported) == (kind.executor.version(), "[]", "False")
