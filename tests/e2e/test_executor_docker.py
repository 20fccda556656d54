"""What only the Docker executor does: a bare shell, pulling, the host's files, agents in containers."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kraken_agent.executors.docker.containers import own_container_id
from kraken_agent.executors.docker.engine import EngineError, EngineSocket
from kraken_agent.executors.docker.executor import DockerExecutor

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.container_images import MINIMAL, WITH_PYTHON, docker_images  # noqa: F401 - the fixture is used by name
from tests.e2e.executor_child import Job

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("docker_images"), pytest.mark.timeout(300)]

ADDRESS = f"test-{os.getpid()}"


def left() -> list[str]:
    """The containers that are still there."""
    return EngineSocket().containers(ADDRESS)


def make(tmp_path: Path, image: str = MINIMAL) -> Job:
    return Job(DockerExecutor, tmp_path / "jobs" / "1", image, ADDRESS)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = make(tmp_path)
    made.prepare()
    yield made
    made.cleanup()
    assert left() == []


def test_an_image_needs_nothing_but_a_shell(job: Job) -> None:
    assert job.script("echo one\nfalse\necho two\n") == 1
    assert job.shell("id -un; touch mine; stat -c %U mine", user="games") == 0
    assert job.lines() == ["+ echo one", "one", "+ false", "games", "games"]


def test_the_jobs_directory_is_there_and_the_engines_socket_is_not(job: Job) -> None:
    (job.directory / "from-host").write_text("x")
    assert job.shell("! test -e /var/run/docker.sock && test -f from-host && echo x > from-container") == 0
    assert (job.directory / "from-container").exists()


def test_a_tool_in_an_image_without_python_is_a_clear_error(job: Job) -> None:
    (final,) = job.tool("run_tests", {"tool": "rndtest"})
    assert final["status"] == "error"
    assert "rndtest needs Python 3.8 or later" in final["msg"]


def test_a_job_that_was_stopped_while_it_was_prepared_leaves_nothing(tmp_path: Path) -> None:
    job = make(tmp_path)
    job.prepare()
    job.executor.state = {}
    job.cleanup()
    assert left() == []


def test_one_echo_takes_little_longer_than_with_the_engines_own_command(tmp_path: Path) -> None:
    def seconds(work: Callable[[], object]) -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    def with_agent() -> None:
        job = make(tmp_path)
        job.prepare()
        job.shell("echo hello")
        job.cleanup()
        assert job.lines() == ["hello"]

    def with_command() -> None:
        subprocess.run(["docker", "run", "--rm", MINIMAL, "/bin/sh", "-c", "echo hello"], check=True)

    # In turns, and the best of each: other work on the machine is not what is measured.
    taken = [(seconds(with_agent), seconds(with_command)) for _ in range(3)]
    agent, command = map(min, zip(*taken, strict=True))
    assert agent < 4 * command, taken


def test_an_ssh_key_in_an_image_without_ssh_is_a_clear_error(job: Job) -> None:
    assert job.shell("true", ssh_key="key") == 127
    assert job.lines() == ["the step has an ssh-key, and the image has no ssh-agent"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_agent_without_root_gets_the_files_of_its_jobs_back(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    job = make(tmp_path)
    job.user = (65534, Path("/var/run/docker.sock").stat().st_gid)
    os.chown(job.directory, 65534, 65534)
    job.prepare()
    try:
        assert job.shell("id -u; mkdir -p deep; touch deep/root; chmod 700 deep") == 0
        assert job.shell("id -un; touch deep-enough", user="games") == 0
    finally:
        job.cleanup()
    assert {path.stat().st_uid for path in (job.directory, *job.directory.rglob("*"))} == {65534}
    assert job.lines() == ["0", "games"]


def test_the_engines_socket_is_there_when_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS", "yes")
    job = make(tmp_path)
    try:
        job.prepare()
        assert job.shell("test -S /var/run/docker.sock") == 0
    finally:
        job.cleanup()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry on loopback."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    with (tmp_path / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 10
        while subprocess.run(["curl", "-sf", f"http://{address}/v2/"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, (tmp_path / "registry.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


def test_an_image_that_is_missing_is_pulled(tmp_path: Path, registry: str) -> None:
    name = f"{registry}/some/image"
    for command in (["tag", MINIMAL, name], ["push", name], ["rmi", name]):
        subprocess.run(["docker", *command], check=True, capture_output=True)
    job = make(tmp_path, name)
    try:
        job.prepare()
        assert job.shell("echo pulled") == 0
    finally:
        job.cleanup()
        subprocess.run(["docker", "rmi", name], check=False, capture_output=True)
    assert "pulled" in job.lines()


AGENT_IN_A_CONTAINER = """
import json, sys
from kraken_agent.executors.base import JobPlace, ShellCommand
from kraken_agent.executors.docker.executor import DockerExecutor
from kraken_agent.executors.docker.containers import own_container_id
from kraken_agent.executors.docker.engine import EngineSocket

place = JobPlace({"id": 7, "system": IMAGE}, "/data/jobs/7", "/data", ADDRESS, 60, ADDRESS)
executor = DockerExecutor(place)
executor.state = executor.prepare()
try:
    engine = EngineSocket()
    networks = [set(engine.inspect(each)["NetworkSettings"]["Networks"])
                for each in (own_container_id(), executor.state["container"])]
    print("together in", [name for name in networks[0] & networks[1] if name.endswith("lab_net")])
    sys.stdout.flush()
    look = "echo from the step > here; ls -A /data /data/jobs; ls /var/run/docker.sock || echo no socket"
    executor.shell(ShellCommand(["/bin/sh", "-c", look], None, {}, ".", ""))
    print(open("/data/jobs/7/here").read())
finally:
    executor.cleanup()
"""


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_an_agent_in_a_container_shares_a_directory_and_a_network_with_its_jobs(tmp_path: Path, network: str) -> None:
    import kraken_agent

    (tmp_path / "jobs/7").mkdir(parents=True)
    (tmp_path / "not-for-jobs").write_text("the agent's own\n")
    mounts = {
        "/var/run/docker.sock": "/var/run/docker.sock",
        str(tmp_path): "/data",
        str(Path(kraken_agent.__file__).parents[1]): "/src/agent:ro",
    }
    words = [word for source, target in mounts.items() for word in ("-v", f"{source}:{target}")]
    script = AGENT_IN_A_CONTAINER.replace("IMAGE", repr(MINIMAL)).replace("ADDRESS", repr(ADDRESS))
    before = networks()
    try:
        environment = ["-e", "PYTHONPATH=/src/agent", "-e", "PYTHONDONTWRITEBYTECODE=1"]
        command = [
            "docker",
            "run",
            "--rm",
            "--network",
            network,
            *words,
            *environment,
            WITH_PYTHON,
            "python3",
            "-c",
            script,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        together = r"together in \['\w*lab_net'\]" if network == "bridge" else r"together in \[\]"
        assert re.search(together, done.stdout), done.stdout
        assert "not-for-jobs" not in done.stdout
        assert "no socket" in done.stdout
        assert "from the step" in done.stdout
        assert left() == []
    finally:
        if "lab_net" not in before:
            subprocess.run(["docker", "network", "rm", "lab_net"], check=False, capture_output=True)


def networks() -> set[str]:
    """The names of the engine's networks."""
    command = ["docker", "network", "ls", "--format", "{{.Name}}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_without_an_engine_docker_jobs_are_not_offered_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such.sock")
    with pytest.raises(EngineError, match="the Docker engine cannot be reached"):
        DockerExecutor.detect()


def test_an_engine_that_the_agent_cannot_reach_over_its_kind_of_address_is_named() -> None:
    with pytest.raises(EngineError, match="ssh://host"):
        EngineSocket("ssh://host")


def test_the_own_container_is_known_from_the_mount_of_its_host_name(tmp_path: Path) -> None:
    key = "0123456789abcdef" * 4
    table = tmp_path / "mountinfo"
    table.write_text(f"1 2 254:1 /var/lib/docker/containers/{key}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n")
    assert own_container_id(table) == key
    table.write_text("1 2 254:1 / / rw - ext4 /dev/vda1 rw\n")
    assert own_container_id(table) == ""
