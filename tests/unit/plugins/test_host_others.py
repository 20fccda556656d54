"""Agents that an earlier deploy made on the same host under another name, unit or way of being installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import engine, env_file, others, process, systemd
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.others import Place
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.users import current_user, primary_group

ADDRESS, SERVER = "127.0.0.61", "http://k:6363"
ME = current_user()
LIVES = "import time\nwhile True: time.sleep(1)\n"


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what the test itself puts on the host counts."""
    monkeypatch.setattr(others, "find", lambda _: None)
    monkeypatch.setattr(engine, "SOCKET", str(tmp_path / "no docker.sock"))
    monkeypatch.setattr(systemd, "UNIT_DIRECTORY", str(tmp_path / "units"))
    monkeypatch.setattr(systemd, "is_running", lambda: True)
    monkeypatch.setattr(systemd, "is_active", lambda _: True)
    (tmp_path / "units").mkdir()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[AgentSpec]:
    """An agent that an earlier deploy left: a process with its settings."""
    directory = tmp_path / "kraken"
    for name in ("current", "data"):
        (directory / name).mkdir(parents=True)
    (directory / "current" / "kkagent").write_text(LIVES)
    found = {"KRAKEN_SERVER_ADDR": SERVER, "KRAKEN_AGENT_ADDRESS": ADDRESS}
    (directory / "kraken.env").write_text(env_file.render(found))
    spec = AgentSpec(
        "", str(directory), "kraken-agent", ME, primary_group(ME, ME), sys.executable, found, drain_seconds=1
    )
    process.start(spec)
    yield spec
    process.stop(spec.directory, 0)


def instance(spec: AgentSpec, address: str = ADDRESS, server: str = SERVER) -> Place:
    return Place("process", f"{spec.directory}-small", f"{spec.directory}-small", address, server)


def plan(wanted: Place) -> list[str]:
    return [change.what for change in others.stopped(others.on_host([wanted]), [wanted], 1)]


def test_one_with_the_address_that_is_about_to_be_used_is_stopped(running: AgentSpec) -> None:
    wanted = instance(running)
    (change,) = others.stopped(others.on_host([wanted]), [wanted], 1)
    assert ADDRESS in change.what
    apply_all([change])
    assert process.running(running.directory) is None
    assert others.on_host([wanted]) == []


@pytest.mark.parametrize(("address", "server"), [("127.0.0.62", SERVER), (ADDRESS, "http://other:6363")])
def test_one_with_another_address_or_server_goes_on_and_is_named(address: str, server: str, running: AgentSpec) -> None:
    wanted = instance(running, address, server)
    assert plan(wanted) == []
    (warning,) = others.warnings(others.on_host([wanted]), [wanted])
    assert running.directory in warning
    assert process.running(running.directory) is not None


def test_the_wanted_one_itself_is_no_other(running: AgentSpec) -> None:
    wanted = Place("process", running.directory, running.directory, ADDRESS, SERVER)
    assert others.on_host([wanted]) == []


def test_the_same_directory_under_another_manager_is_taken_over(running: AgentSpec) -> None:
    wanted = Place("unit", "kraken-agent", running.directory, ADDRESS, SERVER)
    assert len(plan(wanted)) == 1


def unit(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "kraken.env").write_text(
        env_file.render({"KRAKEN_SERVER_ADDR": SERVER, "KRAKEN_AGENT_ADDRESS": ADDRESS})
    )
    (tmp_path / "units" / f"{name}.service").write_text(text)


OURS = "# Written by kraken-fleet; changes here are overwritten by the next deploy.\nEnvironmentFile={}/kraken.env\n"
THEIRS = "[Service]\nEnvironmentFile={}/kraken.env\n"


def test_a_unit_of_ours_is_known_by_its_content_and_any_other_is_left_alone(tmp_path: Path) -> None:
    wanted = Place("unit", "kraken-agent-small", str(tmp_path / "small"), ADDRESS, f"{SERVER}/")
    unit(tmp_path, "kraken-agent", THEIRS.format(tmp_path))
    assert plan(wanted) == []
    unit(tmp_path, "builder", OURS.format(tmp_path))
    (what,) = plan(wanted)
    assert "stop the unit builder" in what


def test_a_unit_that_somebody_else_made_is_not_removed_for_its_name(tmp_path: Path) -> None:
    assert others.is_ours("kraken-agent", "/opt/kraken")
    unit(tmp_path, "kraken-agent", THEIRS.format("/srv/theirs"))
    assert not others.is_ours("kraken-agent", "/opt/kraken")
    assert others.is_ours("kraken-agent", "/srv/theirs")


def test_a_container_in_a_network_of_its_own_has_another_address_than_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"Env": ["KRAKEN_SERVER_ADDR=127.0.0.1:6363"], "Labels": {"kraken-fleet.definition": "x"}}
    one = {"Name": "/other", "Config": config, "HostConfig": {"NetworkMode": "bridge"}}
    answers = {"ps": "1234\n", "inspect": ""}
    monkeypatch.setattr(others, "find", lambda _program: "/usr/bin/docker")
    monkeypatch.setattr(others, "run", lambda command, **_options: answers[command[1]])
    wanted = Place("container", "kraken-agent", "", "127.0.0.1", "127.0.0.1:6363")
    for address, stopped in (("172.17.0.5", 0), ("", 1)):  # without one it is in the host's network
        networks = {"bridge": {"IPAddress": address}}
        answers["inspect"] = json.dumps([{**one, "NetworkSettings": {"Networks": networks}}])
        assert len(plan(wanted)) == stopped, address
