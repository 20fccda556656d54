"""The account of agents, its groups and its sudoers file. No account of this machine is touched."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import users
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all

NOBODY = pwd.getpwnam("nobody")
NEW = "kraken-test-account"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been run."""
    seen: list[list[str]] = []
    monkeypatch.setattr(users, "run", seen.append)
    return seen


def test_an_account_is_made_without_login_and_with_its_groups(commands: list[list[str]]) -> None:
    (change,) = users.account(NEW, "/opt/kraken/data", ["daemon", "tty"])
    assert change.what == f"add user {NEW}"
    assert commands == [], "planning runs nothing"
    change.apply()
    (command,) = commands
    assert command[0] == "useradd"
    assert command[-1] == NEW
    assert command[command.index("--home-dir") + 1] == "/opt/kraken/data"
    assert command[command.index("--groups") + 1] == "daemon,tty"
    assert command[command.index("--shell") + 1].endswith(("nologin", "false"))
    assert {"--system", "--no-create-home", "--user-group"} <= set(command)


def test_an_account_that_is_there_gets_only_the_groups_that_it_lacks(commands: list[list[str]]) -> None:
    own = grp.getgrgid(NOBODY.pw_gid).gr_name
    assert list(users.account("nobody", "/elsewhere", [own])) == []
    (change,) = users.account("nobody", "/elsewhere", [own, "daemon"])
    assert change.restarts, "a running agent does not know its new groups"
    change.apply()
    assert commands == [["usermod", "--append", "--groups", "daemon", "nobody"]]


def test_a_group_that_the_host_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(HostError, match=r"no group 'no-such-group' .*kraken_agent_extra_groups"):
        list(users.account(NEW, "/opt/kraken/data", ["no-such-group"]))


def test_only_an_account_that_was_made_for_agents_is_removed(commands: list[list[str]]) -> None:
    assert list(users.no_account("nobody", ["/opt/kraken/data"])) == []
    assert list(users.no_account("root", ["/root"])) == []
    assert list(users.no_account(NEW, ["/opt/kraken/data"])) == []
    (change,) = users.no_account("nobody", [NOBODY.pw_dir])
    change.apply()
    assert commands[0] == ["userdel", "nobody"]


def test_the_group_that_userdel_leaves_goes_too_unless_others_are_in_it(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    members: list[str] = []
    left = grp.struct_group(("nobody", "x", NOBODY.pw_gid, members))
    monkeypatch.setattr(users, "_group", lambda name: left)
    apply_all(users.no_account("nobody", [NOBODY.pw_dir]))
    assert commands.pop() == ["groupdel", "nobody"]
    members.append("somebody")
    commands.clear()
    apply_all(users.no_account("nobody", [NOBODY.pw_dir]))
    assert commands == [["userdel", "nobody"]]


def test_sudoers_are_checked_before_they_are_in_place_and_only_ours_are_removed(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "SUDOERS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(users, "find", lambda name: f"/usr/sbin/{name}")
    path = tmp_path / "kraken-agent-a_b"
    assert list(users.sudoers("a.b", wanted=False)) == []
    path.write_text("a.b ALL=(ALL) ALL\n")
    assert list(users.sudoers("a.b", wanted=False)) == [], "somebody else's is left alone"
    (change,) = users.sudoers("a.b", wanted=True)
    assert "a.b ALL=(ALL:ALL) NOPASSWD: ALL" in change.diff["after"]
    path.write_text(change.diff["after"])
    apply_all(users.sudoers("a.b", wanted=False))
    assert not path.exists()


def test_sudo_that_the_host_does_not_have_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "find", lambda name: None)
    with pytest.raises(HostError, match="kraken_agent_sudo is true but the host has no sudo"):
        list(users.sudoers("kraken", wanted=True))


def test_what_is_known_of_accounts() -> None:
    assert users.number("nobody") == NOBODY.pw_uid
    assert users.number(NEW) is None
    assert users.primary_group("nobody", "x") == grp.getgrgid(NOBODY.pw_gid).gr_name
    assert users.primary_group(NEW, "x") == "x"
