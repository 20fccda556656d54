"""`kkagent install` on a real host: a container, so that this machine stays as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kraken_fleet.bundle import build
from tests.e2e.container_images import WITH_PYTHON, docker_images  # noqa: F401 - the fixture is used by name

# The first to ask for the image makes it.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600), pytest.mark.usefixtures("docker_images")]


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=90)


class Host:
    """A fresh host."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return _docker("exec", self.name, "sh", "-c", command)

    def out(self, command: str) -> str:
        done = self.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    build(tmp_path)
    run = _docker("run", "-d", "--rm", "--entrypoint", "sleep", WITH_PYTHON, "300")
    assert run.returncode == 0, run.stderr
    name = run.stdout.strip()
    try:
        assert _docker("cp", str(tmp_path / "kkagent"), f"{name}:/tmp/kkagent").returncode == 0
        yield Host(name)
    finally:
        _docker("rm", "-f", name)


def test_install_makes_a_host_an_agent_and_repeating_it_changes_nothing(host: Host) -> None:
    install = "KRAKEN_CLICKHOUSE_ADDR=logs:9001 /tmp/kkagent install -s http://server:6363"
    assert "the agent is installed" in host.out(install)
    assert host.out("stat -c '%a %U %G' /opt/kraken/kraken.env") == "640 root kraken"
    assert host.out("stat -c '%a %U' /opt/kraken/data") == "700 kraken"
    assert host.out("sort /opt/kraken/kraken.env").splitlines() == [
        "KRAKEN_CLICKHOUSE_ADDR=logs:9001",
        "KRAKEN_DATA_DIR=/opt/kraken/data",
        "KRAKEN_SERVER_ADDR=http://server:6363",
    ]
    assert "complete" in host.out("/opt/kraken/current/kkagent check-integrity")
    assert host.run("/opt/kraken/current/kktool check-integrity").returncode == 0
    unit = host.out("cat /etc/systemd/system/kraken-agent.service")
    assert "Type=notify" in unit
    assert "/opt/kraken/current/kkagent run" in unit
    assert host.run("test -e /etc/sudoers.d/kraken").returncode != 0
    assert host.out("find /opt/kraken -perm -o+w -not -type l") == ""
    assert "nothing changed" in host.out(install)


def test_added_settings_are_kept_and_a_new_server_is_taken(host: Host) -> None:
    host.out("/tmp/kkagent install -s first:6363 && echo KRAKEN_AGENT_DRAIN_SECONDS=5 >> /opt/kraken/kraken.env")
    assert "wrote /opt/kraken/kraken.env" in host.out("/tmp/kkagent install -s second:6363")
    env = host.out("cat /opt/kraken/kraken.env")
    assert "KRAKEN_SERVER_ADDR=second:6363" in env
    assert "KRAKEN_AGENT_DRAIN_SECONDS=5" in env


def test_the_installed_agent_runs_as_its_own_user(host: Host) -> None:
    host.out("/tmp/kkagent install -s http://127.0.0.1:1")
    command = ". /opt/kraken/kraken.env; export KRAKEN_SERVER_ADDR KRAKEN_DATA_DIR; "
    command += "timeout -s TERM 3 /opt/kraken/current/kkagent run"
    said = host.run(f"su kraken -s /bin/sh -c '{command}'").stderr
    assert "agent stops" in said


def test_install_without_a_server_says_so(host: Host) -> None:
    done = host.run("/tmp/kkagent install")
    assert done.returncode == 1
    assert "no server is named" in done.stderr
