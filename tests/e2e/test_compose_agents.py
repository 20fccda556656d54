"""Extra agents beside a compose project with the services and networks of a Kraken server, on a real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
IMAGE = "kraken-fleet-test/busybox:1"
PROJECT = "kfcompose"
SUBNET = "172.29.240.0/24"

COMPOSE = f"""
version: "3.6"
x-idle: &idle
  image: {IMAGE}
  command: ["/bin/busybox", "sleep", "3600"]
services:
  server:
    <<: *idle
    networks: [lab_net]
  clickhouse-proxy:
    <<: *idle
    networks: [lab_net]
  minio:
    <<: *idle
    networks: [lab_net]
networks:
  lab_net:
    driver: bridge
"""

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Two more agents
      kraken_ci.fleet.compose_agents:
        compose_file: "{{ compose_file }}"
        subnet: "{{ subnet }}"
        image: "{{ image }}"
        recreate_network: "{{ recreate | default(false) | bool }}"
        agents:
          - {name: agent1, address: "{{ first }}", docker_socket: false}
          - {name: agent2, address: "{{ second }}", docker_socket: false}
"""


def sh(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An image with nothing but busybox, whose default command sleeps."""
    archive = tmp_path_factory.mktemp("image") / "busybox.tar"
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
    sh("docker", "import", "--change", 'CMD ["/bin/busybox", "sleep", "3600"]', str(archive), IMAGE)
    yield
    sh("docker", "image", "rm", "--force", IMAGE)


@pytest.fixture
def project(image: None, tmp_path: Path) -> Iterator[Path]:
    """The stand-in server, running, its network without any IPAM setting."""
    folder = tmp_path / PROJECT
    folder.mkdir()
    path = folder / "docker-compose.yaml"
    path.write_text(COMPOSE)
    sh("docker-compose", "-f", str(path), "up", "--detach", cwd=folder)
    yield path
    files = ["-f", str(path)]
    override = folder / "kraken-fleet-agents.override.yaml"
    if override.exists():
        files += ["-f", str(override)]
    sh("docker-compose", *files, "down", "--remove-orphans", "--timeout", "0", cwd=folder)


def play(compose_file: Path, *flags: str, **variables: str) -> tuple[int, dict[str, int], str]:
    """Runs the module; gives the exit code, the recap and everything printed."""
    playbook = compose_file.with_name("play.yml")
    playbook.write_text(PLAYBOOK)
    given = {
        "image": IMAGE,
        "compose_file": str(compose_file),
        "subnet": SUBNET,
        "first": "172.29.240.11",
        "second": "172.29.240.12",
    }
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i", "host,", "-c", "local", str(playbook), *flags,
        "-e", json.dumps({**given, **variables, "ansible_python_interpreter": sys.executable}),
    ]  # fmt: skip
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    output = done.stdout + done.stderr
    recap = dict(part.split("=") for part in output.rsplit("host ", 1)[-1].split() if "=" in part)
    return done.returncode, {key: int(value) for key, value in recap.items()}, output


def running() -> set[str]:
    names = sh("docker", "ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}}")
    return set(names.split())


def test_a_network_that_must_be_made_anew_is_left_alone_until_that_is_allowed(project: Path) -> None:
    before = running()
    code, _recap, output = play(project)
    assert code == 2
    assert "Nothing was stopped" in output
    assert "kraken_compose_recreate_network" in output
    assert running() == before


def test_agents_come_up_with_their_addresses_and_the_second_run_changes_nothing(project: Path) -> None:
    own_file = project.read_text()
    assert play(project, recreate="true")[1]["changed"] == 1
    network = json.loads(sh("docker", "network", "inspect", f"{PROJECT}_lab_net"))[0]
    addresses = {entry["Name"]: entry["IPv4Address"] for entry in network["Containers"].values()}
    assert network["IPAM"]["Config"][0]["Subnet"] == SUBNET
    assert addresses[next(name for name in addresses if "agent1" in name)] == "172.29.240.11/24"
    assert addresses[next(name for name in addresses if "agent2" in name)] == "172.29.240.12/24"
    assert project.read_text() == own_file, "the user's own file is only read"
    code, recap, output = play(project, recreate="true")
    assert (code, recap["changed"]) == (0, 0), output


def test_check_mode_shows_the_override_and_touches_nothing(project: Path) -> None:
    before = running()
    code, recap, output = play(project, "--check", "--diff", recreate="true")
    assert (code, recap["changed"]) == (0, 1), output
    assert "+  agent1:" in output
    assert running() == before
    assert not project.with_name("kraken-fleet-agents.override.yaml").exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"second": "172.29.240.11"}, "is taken by agent1"),
        ({"subnet": "172.29.240.0/30", "first": "172.29.240.1", "second": "172.29.240.2"}, "host addresses and"),
        ({"subnet": "172.17.0.0/16", "first": "172.17.9.1", "second": "172.17.9.2"}, "of network bridge"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_stopped(
    project: Path, variables: dict[str, str], message: str
) -> None:
    before = running()
    code, _recap, output = play(project, recreate="true", **variables)
    assert code == 2
    assert message in output
    assert running() == before
