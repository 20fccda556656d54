"""Steps in real containers of a real LXD daemon."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kraken_agent.executors.lxd import LxdExecutor
from kraken_agent.executors.lxd_client import LxdClient

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
sys.path.insert(0, str(Path(__file__).parent))
from container_images import LXD_ALIAS, docker_images, lxd_image  # noqa: F401 - the fixtures are used by name
from executor_child import ChildError, Job

pytestmark = [pytest.mark.lxd, pytest.mark.usefixtures("lxd_image")]

ADDRESS = f"test-{os.getpid()}"


def left() -> list[str]:
    """The containers that are still there."""
    return LxdClient().names_of(ADDRESS)


def make(directory: Path, image: str = LXD_ALIAS, number: int = 1) -> Job:
    return Job(LxdExecutor, directory / "jobs" / "1", image, ADDRESS, number)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, lxd_image: None) -> Iterator[Job]:  # noqa: F811
    made = make(tmp_path_factory.mktemp("lxd"))
    made.prepare()
    yield made
    made.cleanup()
    assert left() == []


@pytest.fixture
def job(container: Job) -> Job:
    """The one container of all tests here: making one takes many seconds on a plain directory pool."""
    container.log.clear()
    return container


def test_a_step_runs_with_its_environment_directory_and_exit_code(job):
    job.shell("mkdir sub")
    code = job.shell('echo "$GREETING"; echo to error >&2; pwd; exit 7', env={"GREETING": "hello wörld"}, cwd="sub")
    assert code == 7
    assert job.lines() == ["hello wörld", "to error", f"{job.directory}/sub"]


def test_a_script_stops_at_its_first_error_as_upstreams_does(job):
    assert job.script("echo one\nfalse\necho two\n") == 1
    assert job.lines() == ["+ echo one", "one", "+ false"]


def test_output_comes_line_by_line_while_the_step_runs(job):
    job.shell("echo one; sleep 1; echo two; sleep 1; printf three")
    assert job.lines() == ["one", "two", "three"]
    assert job.log[1].at - job.log[0].at > 0.7


def test_no_output_is_lost_however_soon_it_comes(job):
    for number in range(10):
        job.shell(f"echo {number}")
    assert job.lines() == [str(number) for number in range(10)]


def test_much_output_arrives_whole_and_in_order(job):
    job.shell("seq 1 100000")
    assert job.lines() == [str(number) for number in range(1, 100001)]


def test_a_stopped_step_ends_with_everything_it_started_within_the_agents_patience(job):
    started = time.monotonic()
    assert job.shell("trap '' TERM; setsid sleep 301 & sleep 302", stop_after=0.7) == -15
    assert time.monotonic() - started < 5.7
    job.log.clear()
    job.shell("cat /proc/[0-9]*/cmdline 2>&1 | tr '\\0' ' '")
    assert "sleep 30" not in job.lines()[-1]


def test_a_daemon_that_a_step_leaves_is_not_waited_for_and_is_there_for_the_next_step(job):
    started = time.monotonic()
    assert job.shell("sleep 200 & echo started") == 0
    assert time.monotonic() - started < 4
    job.shell("cat /proc/[0-9]*/cmdline 2>&1 | tr '\\0' ' ' | grep -c '^.*sleep 200 '")
    assert job.lines() == ["started", "1"]


def test_a_user_can_be_given_and_may_write_in_the_jobs_directory(job):
    assert job.shell("id -un; touch mine; stat -c %U mine", user="games") == 0
    assert job.lines() == ["games", "games"]


def test_an_unknown_user_is_named(job):
    with pytest.raises(ChildError, match="nobody-here"):
        job.shell("true", user="nobody-here")


def test_a_tool_runs_through_kktool_with_its_messages_and_its_log_apart(job):
    step = {"tool": "rndtest", "tests": ["a", "b"], "override_result": 1}
    assert job.tool("get_commands", step) == [{"status": "done", "commands": ["collect_tests", "run_tests"]}]
    sent = job.tool("run_tests", step)
    assert [message["status"] for message in sent] == ["in-progress", "done"]
    assert job.lines() == ["a: 1", "b: 1"]


def test_a_tool_that_the_job_brings_along_is_found(job):
    job.shell("mkdir brought && printf 'def run(step):\\n    return 3, \"no\"\\n' > brought/entry.py")
    step = {"tool": "local_tool", "tool_location": "brought", "tool_entry": "entry"}
    assert job.tool("get_commands", step) == [{"status": "done", "commands": ["run"]}]
    assert job.tool("run", step)[0]["retcode"] == 3


def test_a_tool_of_a_tools_directory_is_copied_with_its_vendor_directory(job, tmp_path):
    (tmp_path / "vendor").mkdir(parents=True)
    (tmp_path / "kraken_mine.py").write_text("import helper\ndef run(step):\n    return 0, helper.TEXT\n")
    (tmp_path / "vendor/helper.py").write_text("TEXT = ''\n")
    for command in ("get_commands", "run"):
        (final,) = job.tool(command, {"tool": "mine"}, tools_dirs=[str(tmp_path)])
        assert final["status"] == "done"


def test_an_image_that_is_nowhere_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("KRAKEN_LXD_REMOTE", "https://127.0.0.1:9")
    job = make(tmp_path, "no/such-image", number=2)
    with pytest.raises(ChildError, match="image no/such-image cannot be made"):
        job.prepare()
    job.cleanup()


def test_an_image_can_be_named_by_its_fingerprint_and_what_a_killed_agent_left_is_swept(tmp_path, container):
    listing = subprocess.run(
        ["lxc", "image", "list", LXD_ALIAS, "--format=csv", "-c", "F"], capture_output=True, text=True
    )
    address = f"{ADDRESS}-other"
    job = Job(LxdExecutor, tmp_path / "jobs/1", listing.stdout.strip()[:12], address, 3)
    job.prepare()
    assert len(LxdClient().names_of(address)) == 1
    LxdExecutor.sweep(address)
    assert LxdClient().names_of(address) == []
    assert len(left()) == 1


def test_the_daemon_is_detected_without_pylxd_being_imported():
    code = (
        "import sys; from kraken_agent.executors.lxd import LxdExecutor;"
        "print(LxdExecutor.detect()['lxd'], 'pylxd' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
