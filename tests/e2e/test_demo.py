"""The main job with all real parts: `kraken-fleet lab`, and what it leaves when it is not allowed to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.lab import processes
from kraken_fleet.lab.state import LabState, lab_paths
from kraken_fleet.processes import ProcessRef
from tests.json_answers import check_answer
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kraken_fleet.cli.main", *arguments]


def _environment() -> dict[str, str]:
    """This process's, without what a developer's shell may say about servers and Ansible."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("KRAKEN_", "ANSIBLE_"))}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `kraken-fleet ARGUMENTS` in a directory of its own."""

    def fleet(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        surroundings = _environment() | environ
        options: dict[str, Any] = {"cwd": tmp_path, "env": surroundings, "capture_output": True, "text": True}
        done = subprocess.run(_command(*arguments), check=False, timeout=600, **options)
        check_answer(arguments, done.stdout)
        return done

    return fleet


@pytest.fixture(autouse=True)
def _nothing_survives_a_test(tmp_path: Path) -> Iterator[None]:
    yield
    for directory in tmp_path.glob(".lab/*/"):
        processes.stop(processes.running_in(directory), patience=1)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has just been started, to be disturbed."""
    options: dict[str, Any] = {"cwd": tmp_path, "env": _environment(), "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(_command("lab", "demo"), **options) as process:
        try:
            yield process
        finally:
            process.kill()


def _server_of(directory: Path) -> ProcessRef | None:
    state = LabState.load(lab_paths(directory, "demo"))
    return state.server if state else None


def _agents_run(directory: Path) -> bool:
    return bool(processes.running_in(directory / ".lab" / "demo" / "hosts"))


def test_the_demo_puts_agents_into_groups_and_its_second_deploy_changes_nothing(run: Run, tmp_path: Path) -> None:
    shown = run("lab", "demo", "--json")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    answer = json.loads(shown.stdout)["data"]
    agents = answer["first"]["agents"]
    addresses = {host: agent["address"] for host, agent in agents.items()}
    assert addresses == {"build-1": "127.0.0.11", "build-2": "127.0.0.12", "test-3": "127.0.0.13"}
    assert all(agent["authorized"] for agent in agents.values())
    assert "build" in {group["name"] for group in agents["build-1"]["groups"]}
    assert "test" in {group["name"] for group in agents["test-3"]["groups"]}
    proofs = {proof["host"]: proof for proof in answer["first"]["verified"]}
    assert set(proofs) == {"build-1", "build-2", "test-3"}
    assert all(proof["log_line"] and proof["job"]["completion_status"] == 0 for proof in proofs.values())
    assert len(answer["second"]["verified"]) == 2, "one of each agents group, for nothing has changed"
    hosts = answer["second"]["deploy"]["hosts"]
    assert {name: host["changed"] for name, host in hosts.items()} == {"build-1": 0, "build-2": 0, "test-3": 0}
    assert list(tmp_path.iterdir()) == []


def test_a_lab_stays_can_be_asked_and_goes_without_a_trace(run: Run, tmp_path: Path) -> None:
    assert run("lab", "up", "--hosts", "1").returncode == 0
    status = json.loads(run("lab", "status", "--json").stdout)["data"]
    assert status["server_running"] is True
    assert [host["running"] for host in status["hosts"]] == [True]
    environ = {"KRAKEN_FLEET_SERVER": status["server_url"], "KRAKEN_FLEET_USER": "admin"}
    environ["KRAKEN_FLEET_PASSWORD_FILE"] = str(tmp_path / ".lab" / "lab" / "admin-password")
    listed = json.loads(run("agents", "list", "--json", **environ).stdout)
    assert [agent["address"] for agent in listed["data"] if agent["address"].startswith("127.0.0.1")] == ["127.0.0.11"]
    again = run("lab", "up", "--hosts", "1")
    assert again.returncode == 1
    assert "is there already" in again.stderr
    running = processes.running_in(tmp_path / ".lab" / "lab")
    assert len(running) >= 2
    assert run("lab", "down").returncode == 0
    assert not [process for process in running if process.alive]
    assert list(tmp_path.iterdir()) == []
    assert "nothing to remove" in run("lab", "down").stdout


def test_no_deploy_leaves_bare_hosts(run: Run, tmp_path: Path) -> None:
    assert run("lab", "up", "--hosts", "2", "--no-deploy").returncode == 0
    status = json.loads(run("lab", "status", "--json").stdout)["data"]
    assert [(host["running"], host["agent"]) for host in status["hosts"]] == [(False, None), (False, None)]
    assert run("lab", "down", "--all").returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing_behind(
    demo: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    until(lambda: _agents_run(tmp_path), 300)
    running = processes.running_in(tmp_path / ".lab" / "demo")
    demo.send_signal(number)
    assert demo.wait(200) == 130
    assert not [process for process in running if process.alive]
    assert list(tmp_path.iterdir()) == []


def test_a_demo_whose_server_is_killed_says_so_and_leaves_nothing_behind(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    until(lambda: _server_of(tmp_path))
    server = _server_of(tmp_path)
    assert server
    os.kill(server.pid, signal.SIGKILL)
    _, shown = demo.communicate(timeout=300)
    assert demo.returncode in (1, 3)
    assert "Error: " in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_demo_leaves_is_removed_by_down(demo: subprocess.Popen[str], run: Run, tmp_path: Path) -> None:
    until(lambda: _agents_run(tmp_path), 300)
    demo.kill()
    demo.wait()
    running = processes.running_in(tmp_path / ".lab" / "demo")
    assert running
    (tmp_path / ".lab" / "demo" / "lab.json").write_text("damaged")
    removed = run("lab", "down", "--name", "demo", "--json")
    assert json.loads(removed.stdout) == {"ok": True, "data": {"removed": ["demo"]}}
    assert not [process for process in running if process.alive]
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_one_clear_message(run: Run, tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        shown = run("lab", "up", "--port", str(port))
    assert shown.returncode == 1
    assert f"Port {port} is in use" in shown.stderr
    assert run("lab", "down").returncode == 0
