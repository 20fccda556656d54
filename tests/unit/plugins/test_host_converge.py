"""Agents on their host: from a module's parameters to files and a running process, and back to nothing."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.action.agent_host import ActionModule
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import (
    converge,
    opening,
    others,
    process,
    systemd,
    users,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.release import Binary, Release
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec_of import specs_of
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.users import current_user

AGENT = b"import time\nwhile True: time.sleep(1)\n"
DEFAULTS = {name: option.get("default") for name, option in ActionModule.ARGUMENTS.items()}


def parameters(directory: Path, **changes: Any) -> dict[str, Any]:
    own = {"server_url": "http://127.0.0.1:1", "address": "127.0.0.9", "dir": str(directory)}
    ours = {"python": sys.executable, "user": current_user(), "allow_root": True}
    found = {"source": "bundle", "install_script": "", "self_checking": False, "service_manager": "process"}
    return {**DEFAULTS, **found, **own, **ours, **changes}


def release(version: str) -> Release:
    files = {"kkagent": AGENT + f"# {version}\n".encode(), "kktool": b""}
    return Release(
        version, [Binary(name, hashlib.sha256(data).hexdigest(), data) for name, data in files.items()], False
    )


def plan(specs: list[AgentSpec], version: str = "1.0") -> list[str]:
    return [change.what for change in converge.present(specs, release(version), root=False)]


def test_a_second_run_changes_nothing_and_a_removal_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "agent"
    specs = specs_of(parameters(directory, drain_seconds=0))
    try:
        apply_all(converge.present(specs, release("1.0"), root=False))
        assert plan(specs) == []
        state = converge.state(specs[0])
        assert (state["release"], state["address"]) == (release("1.0").name, "127.0.0.9")
        assert state["service"]["state"] == "started"
        assert "KRAKEN_SERVER_ADDR=" in (directory / "kraken.env").read_text()
        assert (directory / "kraken.env").stat().st_mode & 0o777 == 0o640
    finally:
        apply_all(converge.removed(specs, root=False, keep_data=False, keep_user=False))
    assert not directory.exists()
    assert converge.removed(specs, root=False, keep_data=False, keep_user=False) == []


def test_a_removal_keeps_data_when_that_is_asked_for_and_what_is_not_its_own(tmp_path: Path) -> None:
    directory = tmp_path / "agent"
    specs = specs_of(parameters(directory, service_state="stopped", enabled=False))
    apply_all(converge.present(specs, release("1.0"), root=False))
    (directory / "notes").write_text("mine")
    apply_all(converge.removed(specs, root=False, keep_data=True, keep_user=False))
    assert sorted(path.name for path in directory.iterdir()) == ["data", "notes"]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentSpec]:
    """An agent that was deployed and runs."""
    (spec,) = specs_of(parameters(tmp_path / "agent", drain_seconds=0))
    apply_all(converge.present([spec], release("1.0"), root=False))
    yield spec
    apply_all(converge.removed([spec], root=False, keep_data=False, keep_user=False))
    assert not Path(spec.directory).exists()


def test_a_restart_is_not_lost_when_a_deploy_ends_before_it(agent: AgentSpec) -> None:
    before = process.running(agent.directory)
    changed = agent._replace(environment={**agent.environment, "MAKEFLAGS": "-j2"})
    changes = converge.present([changed], release("1.0"), root=False)
    assert [change.what for change in changes] == [f"write {agent.env_file}", "restart agent"]
    apply_all(changes[:1])
    assert plan([changed]) == ["restart agent"]
    apply_all(converge.present([changed], release("1.0"), root=False))
    assert plan([changed]) == []
    assert process.running(agent.directory) not in (None, before)


def test_an_agent_that_somebody_has_started_after_a_stop_is_not_started_again(agent: AgentSpec) -> None:
    process.stop(agent.directory, 0)
    stopped = agent._replace(service_state="stopped", environment={**agent.environment, "MAKEFLAGS": "-j2"})
    apply_all(converge.present([stopped], release("1.0"), root=False))
    process.start(stopped)
    assert plan([stopped._replace(service_state="started")]) == []


def test_what_a_deploy_that_was_killed_has_left_is_removed(agent: AgentSpec) -> None:
    def leave() -> list[Path]:
        directory = Path(agent.directory)
        file, stage = (directory / opening.unused_name(name) for name in ("kraken.env", "staging"))
        file.write_text("https_proxy=http://u:secret@proxy.example:3128\n")
        (stage / "release").mkdir(parents=True)
        return [file, stage]

    left = leave()
    assert sorted(plan([agent])) == sorted(f"remove {path}" for path in left)
    apply_all(converge.present([agent], release("1.0"), root=False))
    assert [path.exists() for path in left] == [False, False]
    assert plan([agent]) == []
    leave()  # the removal after the test leaves no directory


def test_an_account_keeps_sudo_while_an_agent_runs_as_it(
    agent: AgentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rules = tmp_path / "units", tmp_path / "rules"
    monkeypatch.setattr(systemd, "UNIT_DIRECTORY", str(units))
    monkeypatch.setattr(users, "SUDOERS_DIRECTORY", str(rules))
    units.mkdir()
    rules.mkdir()
    ours = "# Written by kraken-fleet, because kraken_agent_sudo is true.\n"
    for user in ("former", "of-another", "new", agent.user):
        (rules / f"kraken-agent-{user}").write_text(f"{ours}{user} ALL=(ALL:ALL) NOPASSWD: ALL\n")
    (rules / "kraken-agent-theirs").write_text("theirs ALL=(ALL) ALL\n")
    (units / "another.service").write_text("[Service]\nUser=of-another\n")
    (units / "kraken-agent.service").write_text("[Service]\nUser=former\n")
    mine = agent._replace(user="new", unit="kraken-agent")
    beside = others.Place("process", agent.directory, agent.directory, "127.0.0.9", "")
    changes = list(converge._sudo_of_former_accounts([mine], [beside]))
    assert [change.what for change in changes] == [f"remove {rules}/kraken-agent-former"]
    assert len(list(converge._sudo_of_former_accounts([mine], []))) == 2, "nobody runs as this account then"


def test_the_release_that_runs_is_there_until_the_agent_is_started_again(agent: AgentSpec) -> None:
    one, two = release("1.0").name, release("2.0").name
    assert plan([agent._replace(keep_versions=1)], "2.0") == [
        f"install version {two}",
        f"switch from version {one} to {two}",
        "restart agent",
        f"remove version {one}",
    ]


@pytest.mark.parametrize(
    ("differs", "is_tried"),
    [
        ({}, False),
        ({"service_state": "stopped"}, True),
        ({"manager": "process"}, True),
        ({"notifies": False}, True),
        ({"update": "server"}, True),
        ({"directory": ""}, True),
    ],
    ids=["fresh host", "not started", "process", "cannot say that it is up", "may become another", "something there"],
)
def test_a_release_is_tried_before_unless_its_first_start_tries_it(
    differs: dict[str, Any], is_tried: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "agent"
    (spec,) = specs_of(parameters(directory))
    wanted = spec._replace(**{"manager": "systemd", "notifies": True, **differs, "directory": str(directory)})
    if "directory" in differs:
        directory.mkdir()
    for manager in (systemd, process):
        monkeypatch.setattr(manager, "converge", lambda spec, restart: ())
    broken = b"raise SystemExit('no such feature here')"
    binary = Binary("kkagent", hashlib.sha256(broken).hexdigest(), broken)
    changes = converge.present([wanted], Release("1.0", [binary], self_checking=True), root=False, beside=[])
    with pytest.raises(HostError, match="no such feature here") if is_tried else nullcontext():
        apply_all(changes)
    assert (directory / "current").is_symlink() is not is_tried


def test_several_agents_have_directories_units_and_variables_of_their_own(tmp_path: Path) -> None:
    instances = [
        {"name": "one", "address": "127.0.0.8", "environment": {"MAKEFLAGS": "-j2"}},
        {"name": "two", "address": "127.0.0.9", "dir": str(tmp_path / "elsewhere"), "unit": "second"},
    ]
    one, two = specs_of(parameters(tmp_path / "agent", instances=instances, unit="kraken-agent"))
    assert (one.directory, two.directory) == (str(tmp_path / "agent-one"), str(tmp_path / "elsewhere"))
    assert (one.unit, two.unit) == ("kraken-agent-one", "second")
    assert (one.address, two.address) == ("127.0.0.8", "127.0.0.9")
    assert (one.environment["MAKEFLAGS"], "MAKEFLAGS" in two.environment) == ("-j2", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dir": "/usr"}, "kraken_agent_dir is '/usr', which belongs to the system"),
        ({"python": "/no/python"}, "kraken_agent_python /no/python is not a program"),
        ({"service_manager": "systemd"}, "systemd"),
        ({"instances": [{"name": "a b", "address": ""}]}, "kraken_agent_instances"),
        (
            {"instances": [{"name": "a", "address": ""}, {"name": "b", "address": "", "dir": "DIR-a"}]},
            "Two agents of this host have the same directory",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    for one in changes.get("instances", ()):
        if "dir" in one:
            one["dir"] = one["dir"].replace("DIR", str(tmp_path / "agent"))
    with pytest.raises(HostError, match=message):
        specs_of(parameters(tmp_path / "agent", **changes))
