"""Extra agents beside a compose project with the services and networks of a Kraken server, on a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest's importlib mode gives tests no package: the helpers beside this file are found through the path.
from tests.e2e.compose_project import (
    FIRST,
    IMAGE,
    OVERRIDE,
    RUN,
    SECOND,
    SERVICES,
    SUBNET,
    containers,
    idle_image,
    running_project,
    sh,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PROJECT = f"kfcompose{RUN}"

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
        drain_seconds: 0
        state: "{{ state | default('present') }}"
        agents: >-
          {{ [{'name': 'agent1', 'address': first, 'docker_socket': false},
              {'name': 'agent2', 'address': second, 'docker_socket': false}][:(number | default(2) | int)] }}
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with idle_image(tmp_path_factory.mktemp("image")):
        yield


@pytest.fixture
def project(image: None, tmp_path: Path) -> Iterator[Path]:
    """One for a test that changes it."""
    with running_project(tmp_path / PROJECT) as path:
        yield path


@pytest.fixture(scope="module")
def untouched(image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for the tests after which it must be as before."""
    with running_project(tmp_path_factory.mktemp("untouched") / f"{PROJECT}untouched") as path:
        yield path


def play(compose_file: Path, *flags: str, **variables: str) -> tuple[int, dict[str, int], str]:
    """Runs the module; gives the exit code, the recap and everything printed."""
    playbook = compose_file.with_name("play.yml")
    playbook.write_text(PLAYBOOK)
    given = {
        "image": IMAGE,
        "compose_file": str(compose_file),
        "subnet": SUBNET,
        "first": FIRST,
        "second": SECOND,
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


def test_a_network_that_must_be_made_anew_is_left_alone_until_that_is_allowed(untouched: Path) -> None:
    before = containers(untouched)
    code, _recap, output = play(untouched)
    assert code == 2
    assert "Nothing was stopped" in output
    assert "kraken_compose_recreate_network" in output
    assert containers(untouched) == before


def test_agents_come_up_with_their_addresses_and_the_second_run_changes_nothing(project: Path) -> None:
    own_file = project.read_text()
    assert play(project, recreate="true")[1]["changed"] == 1
    network = json.loads(sh("docker", "network", "inspect", f"{PROJECT}_lab_net"))[0]
    addresses = {entry["Name"]: entry["IPv4Address"] for entry in network["Containers"].values()}
    assert network["IPAM"]["Config"][0]["Subnet"] == SUBNET
    assert addresses[next(name for name in addresses if "agent1" in name)] == f"{FIRST}/24"
    assert addresses[next(name for name in addresses if "agent2" in name)] == f"{SECOND}/24"
    assert project.read_text() == own_file, "the user's own file is only read"
    code, recap, output = play(project, recreate="true")
    assert (code, recap["changed"]) == (0, 0), output


def test_agents_are_taken_out_alone_and_for_good(project: Path) -> None:
    own_file = project.read_text()
    code, _recap, output = play(project, recreate="true")
    assert code == 0, output
    before = containers(project)

    code, recap, output = play(project, "--diff", number="1")
    assert (code, recap["changed"]) == (0, 1), output
    assert containers(project) == {name: before[name] for name in (*SERVICES, "agent1")}

    code, recap, output = play(project, "--check", "--diff", state="absent")
    assert (code, recap["changed"]) == (0, 1), output
    assert "-  agent1:" in output
    assert "agent1" in containers(project)

    for changed in (1, 0):
        code, recap, output = play(project, state="absent")
        assert (code, recap["changed"]) == (0, changed), output
        assert containers(project) == {name: before[name] for name in SERVICES}
        assert not project.with_name(OVERRIDE).exists()
    assert sh("docker", "ps", "--all", "--quiet", "--filter", f"name={PROJECT}_agent") == ""
    assert project.read_text() == own_file


def test_a_project_with_services_from_elsewhere_is_not_taken_down(project: Path) -> None:
    other = project.with_name("other.yaml")
    other.write_text(f'version: "3.6"\nservices:\n  db: {{image: {IMAGE}, networks: [lab_net]}}\n')
    both = ["-f", str(project), "-f", str(other)]
    sh("docker-compose", *both, "up", "--detach", cwd=project.parent)
    before = containers(project)
    try:
        code, _recap, output = play(project, recreate="true")
        assert code == 2
        assert "it runs db from other compose files" in output
        assert containers(project) == before
        assert not project.with_name(OVERRIDE).exists()
    finally:
        sh("docker-compose", *both, "rm", "--stop", "--force", "db", cwd=project.parent)


def test_check_mode_shows_the_override_and_touches_nothing(untouched: Path) -> None:
    before = containers(untouched)
    code, recap, output = play(untouched, "--check", "--diff", recreate="true")
    assert (code, recap["changed"]) == (0, 1), output
    assert "+  agent1:" in output
    assert containers(untouched) == before
    assert not untouched.with_name(OVERRIDE).exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"second": FIRST}, "is taken by agent1"),
        ({"subnet": SUBNET.replace("/24", "/30")}, "host addresses and"),
        ({"second": SECOND.replace(".12", ".2")}, "to which Docker gives the first addresses"),
        ({"image": "kraken-fleet-test/busybox:v1.7.36"}, "write kraken-fleet-test/busybox:1.7.36"),
        ({"number": "0"}, "There is no agent to run"),
        ({"subnet": "172.17.0.0/16", "first": "172.17.9.1", "second": "172.17.9.2"}, "of network bridge"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_stopped(
    untouched: Path, variables: dict[str, str], message: str
) -> None:
    before = containers(untouched)
    code, _recap, output = play(untouched, recreate="true", **variables)
    assert code == 2
    assert message in output
    assert containers(untouched) == before
