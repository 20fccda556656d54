"""Hosts and controllers as they are: what a login prints and lacks, and what an ansible.cfg of the user's own says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.loopback_fleet import Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NewFleet = Callable[..., Fleet]
DEPLOY, REMOVE, UPGRADE = "deploy-agents.yml", "remove-agents.yml", "upgrade-agents.yml"

# In the place of ssh: the login of a host that is this machine. $last is what Ansible runs there.
LOGINS = {
    "talks": r"""printf 'loading profile... \033[1m'; exec /bin/sh -c "$last" """,
    "talks_behind": r"""/bin/sh -c "$last"; code=$?; printf 'bye'; echo 'tput: No value for $TERM' >&2; exit $code""",
    "strict_mask": r"""umask 077; exec /bin/sh -c "$last" """,
    "no_name_and_no_terminal": r"""exec setsid env -i HOME="$HOME" PATH="$PATH" /bin/sh -c "$last" """,
}
SETTINGS = {
    "free": {"ANSIBLE_STRATEGY": "ansible.builtin.free", "ANSIBLE_FORKS": "5"},
    "host_pinned": {"ANSIBLE_STRATEGY": "ansible.builtin.host_pinned", "ANSIBLE_VERBOSITY": "3"},
    "no_pipelining": {"ANSIBLE_PIPELINING": "false", "ANSIBLE_REMOTE_TMP": "{directory}/a place for files"},
    "other_output": {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal", "ANSIBLE_CALLBACKS_ENABLED": "timer"},
}


def by_login(fleet: Fleet, login: str) -> None:
    """Have Ansible reach all hosts through a stand-in of ssh."""
    ssh = fleet.directory / "ssh"
    ssh.write_text(f"#!/bin/sh\nfor last; do :; done\n{LOGINS[login]}\n")
    ssh.chmod(0o755)
    fleet.variables.update(ansible_connection="ssh", ansible_ssh_executable=str(ssh), ansible_user="root")


@pytest.mark.parametrize("login", LOGINS)
def test_a_host_is_deployed_and_cleared_whatever_its_login_is_like(new_fleet: NewFleet, login: str) -> None:
    fleet = new_fleet("build-1")
    by_login(fleet, login)
    done = fleet.play(DEPLOY)
    assert done.code == 0, done.text
    assert [agent.authorized for agent in fleet.agents().values()] == [True]
    assert fleet.play(DEPLOY).changed == {"build-1": 0}
    removed = fleet.play(REMOVE)
    assert removed.code == 0, removed.text
    assert not fleet.home("build-1").exists()


@pytest.mark.parametrize("name", SETTINGS)
def test_plays_do_the_same_whatever_ansible_cfg_says(new_fleet: NewFleet, name: str, tmp_path: Path) -> None:
    fleet = new_fleet("build-1", "build-2")
    settings = {key: value.format(directory=tmp_path) for key, value in SETTINGS[name].items()}
    changed = ("-e", '{"kraken_agent_environment": {"NEW": "1"}}')
    everywhere = ("-e", "kraken_upgrade_serial=100%", "-e", "kraken_upgrade_max_unavailable=100%")
    for playbook, arguments in ((DEPLOY, ()), (UPGRADE, (*changed, *everywhere)), (REMOVE, ())):
        done = fleet.play(playbook, *arguments, **settings)
        assert done.code == 0, done.text
        if playbook == UPGRADE:
            assert [agent.enabled for agent in fleet.agents().values()] == [True, True]
            assert all("NEW=1" in (fleet.home(host) / "kraken.env").read_text() for host in ("build-1", "build-2"))
    assert fleet.agents() == {}
    assert not any(fleet.home(host).exists() for host in ("build-1", "build-2"))
