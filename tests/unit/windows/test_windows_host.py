"""The roles on a Windows host, as far as that can be played without one: see fake_windows_host.py."""

from __future__ import annotations

import hashlib
import re
import shutil
from typing import Any

import pytest

from tests.unit.windows.played_host import EMPTY, Windows

pytestmark = pytest.mark.timeout(900)  # up to nine plays


@pytest.mark.slow
def test_an_agent_comes_changes_is_upgraded_goes_back_and_is_taken_off(windows: Windows) -> None:
    predicted, said = windows.play("kraken_agent", "--check", "--diff")
    assert predicted > 0
    assert "install version server-" in said
    assert windows.state == EMPTY

    windows.play()
    state, first = windows.state, windows.settings["AppParameters"]
    assert state["services"]["kraken-agent"]["state"] == "started"
    assert state["services"]["kraken-agent"]["username"] == "NT SERVICE\\kraken-agent"
    assert not any(
        rights["inherits"] for path, rights in state["rights"].items() if not path.endswith(("data", "logs"))
    )
    assert state["files"]["C:\\kraken\\kktool"] == hashlib.sha256(b"#!python tool").hexdigest()
    assert re.fullmatch(r'"C:\\kraken\\versions\\server-\w+\\kkagent" run --no-update', first)
    assert f"KRAKEN_SERVER_ADDR={windows.server_url}" in windows.settings["AppEnvironmentExtra"]

    changed, said = windows.play()
    assert (changed, windows.state) == (0, state)
    assert '"address": "127.0.99.1"' in said

    proxy: dict[str, Any] = {"kraken_agent_environment": {"https_proxy": "http://u:s3cret@proxy.example:3128"}}
    said = windows.play("kraken_agent", "--diff", **proxy)[1]
    assert "write settings" in said
    assert "restart kraken-agent" in said
    assert "s3cret" not in said
    assert "https_proxy=http://u:s3cret@proxy.example:3128" in windows.settings["AppEnvironmentExtra"]
    assert windows.state["files"] == state["files"]

    windows.variables |= {**proxy, "kraken_agent_keep_versions": 2}
    for number in (2, 3):
        windows.serve(kkagent=b"#!python %d" % number)
        foreseen = windows.play(kraken_agent_predict=True)[1]
        assert "install version" in foreseen
        assert f'"release": "{windows.release}"' in foreseen
        before = windows.release
        said = windows.play()[1]
        assert windows.release not in (before, "")
        assert f"switch from version {before} to {windows.release}" in said
    assert len(windows.releases) == 2

    windows.play(kraken_agent_releases={"": before})
    assert windows.release == before
    files = windows.state["files"]
    assert files["C:\\kraken\\kkagent"] == files[f"C:\\kraken\\versions\\{before}\\kkagent"]

    gone: dict[str, Any] = {"kraken_agent_state": "absent", "kraken_agent_keep_data": True}
    windows.play(**gone)
    state = windows.state
    assert (state["services"], state["registry"], state["files"]) == ({}, {}, {})
    assert state["directories"] == ["C:\\kraken", "C:\\kraken\\data"]
    assert windows.play(**gone)[0] == 0
    windows.play(**{**gone, "kraken_agent_keep_data": False})
    assert windows.state["directories"] == []


def test_a_removal_touches_no_directory_but_the_agents(windows: Windows) -> None:
    windows.become(directories=["D:\\work"], services={"kraken-agent": {"state": "started", "path": "C:\\nssm.exe"}})
    before = windows.state
    said = windows.play(kraken_agent_state="absent", kraken_agent_dir="D:\\", fails=True)[1]
    assert r"kraken_agent_dir is D:\; on Windows the agent is always in C:\kraken, and nothing was removed" in said
    assert windows.state == before


def test_a_second_deploy_waits_for_the_first_and_says_whose_it_is(windows: Windows) -> None:
    windows.become(locks={"kraken-agent": "another"})
    before = windows.state
    said = windows.play(fails=True)[1]
    assert "Another deploy works on this host: one of ann, since 2026-01-01 00:00:00 UTC" in said
    assert windows.state == before, "it changes nothing, and does not end the lock of the other one"
    assert windows.play("kraken_agent", "--check")[0] > 0, "a prediction needs no lock"

    windows.become(locks={})
    said = windows.play()[1]
    assert "win-1: changed: install version server-" in said
    assert windows.state["locks"] == {}
    windows.play(kraken_agent_nssm_sha256="0" * 64, fails=True)
    assert windows.state["locks"] == {}, "it goes when the deploy fails, too"


def test_what_cannot_be_is_said_before_anything_is_done(windows: Windows) -> None:
    said = windows.play(kraken_agent_install_method="docker", fails=True)[1]
    assert "win-1 is a Windows host: kraken_agent_install_method docker is not for it" in said
    wrong: dict[str, Any] = {
        "kraken_agent_instances": [{"name": "a", "address": "192.0.2.1"}],
        "kraken_registration_trust": "attested",
        "kraken_agent_sudo": True,
        "kraken_agent_update": "server",
        "kraken_agent_dir": "D:\\kraken",
        "kraken_agent_environment": {"KRAKEN_DATA_DIR": "D:\\data"},
    }
    said = windows.play(**wrong, fails=True)[1]
    assert "kraken_agent_instances is not for Windows hosts. It runs one agent on a host" in said
    assert "kraken_registration_trust attested is not for Windows hosts. Choose another policy" in said
    assert "kraken_agent_sudo is not for Windows hosts" in said
    assert "kraken_agent_update server: Kraken's own agent replaces its files itself, and its service may not" in said
    assert "kraken_agent_dir is not for Kraken's own agent" in said
    assert "KRAKEN_DATA_DIR in kraken_agent_environment is not for Windows hosts" in said
    assert windows.state == EMPTY


def test_a_failure_ends_what_is_done_to_the_host_even_in_a_play_that_ignores_errors(windows: Windows) -> None:
    windows.become(programs=[])
    said = windows.play(fails=True, ignore_errors=True)[1]
    assert "the host has no Python on the path of the machine" in said
    assert windows.state["directories"] == []
    assert '"failed": true' in said.rpartition("TASK")[2]


def test_python_and_git_are_installed_only_where_they_are_missing_and_may_be(windows: Windows) -> None:
    windows.become(programs=["python"])
    said = windows.play("kraken_prereqs", kraken_prereqs_install=False, fails=True)[1]
    assert "The host has no git on the machine's path" in said
    assert windows.play("kraken_prereqs", "--check")[0] == 1
    assert windows.state["programs"] == ["python"]
    assert windows.play("kraken_prereqs")[0] == 1
    assert windows.play("kraken_prereqs")[0] == 0


def test_a_preflight_says_that_it_is_for_other_hosts(windows: Windows) -> None:
    look = {"kraken_ci.fleet.preflight": {"server_url": windows.server_url}}
    assert "This is a Windows host" in windows.play(task=look, fails=True)[1]


def test_without_the_collection_one_message_says_what_to_install(windows: Windows) -> None:
    actions = windows.folder / "simulated" / "ansible_collections" / "ansible" / "windows"
    shutil.rmtree(actions / "plugins")
    for role in ("kraken_prereqs", "kraken_agent"):
        assert "ansible-galaxy collection install ansible.windows" in windows.play(role, fails=True)[1]
