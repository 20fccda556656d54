"""`kkagent install` leaves a host as a deploy does. The two share no code, so their values are compared here."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import converge, systemd, users
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import BINARIES, OURS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import SETTINGS
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.spec import AgentSpec
from kraken_agent import install, service_unit
from kraken_agent.config import Config

from kraken_fleet.collection import role_variables

DEFAULTS: dict[str, Any] = {name: option.get("default") for name, option in role_variables()["kraken_agent"].items()}
CONFIG = Config({"server": "server:6363"}, {})


def deployed(*, sudo: bool = False, one_job: bool = False) -> AgentSpec:
    """What a deploy makes with the role's defaults."""
    user = DEFAULTS["kraken_agent_user"]
    return AgentSpec(
        name="",
        directory=str(DEFAULTS["kraken_agent_dir"]),
        unit=str(DEFAULTS["kraken_agent_unit"]),
        user=user,
        group=user,
        python=sys.executable,
        environment={"KRAKEN_AGENT_ONE_JOB": "yes"} if one_job else {},
        sudo=sudo,
        drain_seconds=int(DEFAULTS["kraken_agent_drain_seconds"]),
        notifies=True,
    )


@pytest.mark.parametrize(("sudo", "one_job"), [(False, False), (True, False), (False, True)])
def test_the_units_are_the_same(sudo: bool, one_job: bool) -> None:
    theirs = service_unit.unit_text(
        CONFIG, deployed().directory, deployed().user, sudo=sudo, one_job=one_job
    ).splitlines()
    ours = systemd.unit_text(deployed(sudo=sudo, one_job=one_job)).splitlines()
    assert {line for line in theirs if not line.startswith("#")} == {line for line in ours if not line.startswith("#")}


def test_every_setting_that_becomes_a_variable_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [one.name for one in SETTINGS if one.name and BINARIES in one.methods and OURS in one.agents]
    for name in names:
        monkeypatch.setenv(name, f"of-{name}")
    monkeypatch.setattr(os.path, "isfile", lambda path: False)
    written = dict(line.split("=", 1) for line in Recorder()._env_text().splitlines())
    missing = [name for name in names if name not in written]
    assert not missing, f"agent/kraken_agent/install.py does not write {missing}"
    assert {f"{name}=of-{name}" for name in names} <= set(install._kept()), "sudo would lose them"


def test_a_fresh_agent_for_each_job_has_its_home_where_a_deploy_puts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "isfile", lambda path: False)
    assert "HOME=" not in Recorder()._env_text()
    monkeypatch.setenv("KRAKEN_AGENT_ONE_JOB", "yes")
    assert f"HOME={CONFIG.data_dir}/home\n" in Recorder()._env_text()


def test_a_fresh_agent_is_refused_where_jobs_can_leave_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "isfile", lambda path: False)
    monkeypatch.setenv("KRAKEN_AGENT_ONE_JOB", "yes")
    with pytest.raises(install.InstallError, match="with --sudo"):
        Recorder(sudo=True).run()
    monkeypatch.setenv("KRAKEN_AGENT_UPDATE", "server")
    with pytest.raises(install.InstallError, match="updates itself"):
        Recorder().run()


class Recorder(install.Installer):
    """Does nothing, and remembers what it would do."""

    def __init__(self, *, sudo: bool = False) -> None:
        super().__init__(CONFIG, sudo=sudo)
        self.commands: list[tuple[str, ...]] = []
        self.directories: dict[str, int] = {}

    def _command(self, *words: str) -> None:
        self.commands.append(words)

    def _directory(self, path: str, mode: int, uid: int, gid: int) -> None:
        self.directories[path] = mode

    def _binaries(self) -> None: ...

    def _service(self) -> None: ...

    def _file(self, path: str, text: str, mode: int, gid: int) -> bool:
        return False


def _no_such_user(name: str) -> Any:
    if name == install._USER:
        raise KeyError(name)
    return pwd.getpwuid(0)


def test_account_and_directories_are_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(users, "_user", lambda name: None)
    monkeypatch.setattr(users, "_group", lambda name: None)
    made: list[str] = []
    monkeypatch.setattr(users, "run", made.extend)
    (creation,) = users.account(deployed().user, deployed().data, ())
    creation.apply()

    recorder = Recorder()
    monkeypatch.setattr(pwd, "getpwnam", _no_such_user)
    recorder._user()
    assert [set(words) for words in recorder.commands] == [set(made)]

    monkeypatch.undo()
    monkeypatch.setattr(os.path, "isfile", lambda path: False)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.getpwuid(0))
    recorder.run()
    top, inside = converge._keepers(deployed(), Attributes(0o700, "kraken", "kraken"))
    assert recorder.directories == {
        deployed().directory: top.mode,
        f"{deployed().directory}/versions": inside.mode,
        deployed().data: 0o700,
    }


def test_nobody_is_put_into_a_group_unasked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import grp

    monkeypatch.setattr(install, "_ENGINE_GROUPS", (grp.getgrgid(0).gr_name,))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.getpwuid(0))
    recorder = Recorder()
    recorder._user()
    assert recorder.commands == []
    assert "usermod --append --groups" in capsys.readouterr().out
