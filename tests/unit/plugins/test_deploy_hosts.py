"""Which hosts of a deploy stand in plays of their own."""

from __future__ import annotations

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import deploy


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"kraken_agent_install_method": "binaries"},
        {"kraken_agent_os": "linux", "ansible_connection": "{{ anything }}"},
        {"ansible_connection": "ssh", "ansible_shell_type": "sh"},
    ],
)
def test_an_ordinary_linux_host_needs_one_task(variables: dict[str, str]) -> None:
    assert not deploy.needs_more(variables)


@pytest.mark.parametrize(
    "variables",
    [
        {"kraken_agent_install_method": "script"},
        {"kraken_agent_install_method": "docker", "kraken_agent_os": "linux"},
        {"kraken_agent_install_method": "{{ method }}"},
        {"kraken_agent_os": "windows"},
        {"kraken_agent_os": "{{ system }}"},
        {"ansible_connection": "winrm"},
        {"ansible_connection": "ansible.builtin.psrp"},
        {"ansible_connection": "{{ way }}"},
        {"ansible_shell_type": "powershell"},
    ],
)
def test_what_may_be_another_host_is_looked_at_on_its_own(variables: dict[str, str]) -> None:
    assert deploy.needs_more(variables)


def test_one_more_host_keeps_the_playbook_going_when_all_of_them_fail() -> None:
    assert deploy.with_another(["w2"], ["w1", "w2", "w3"]) == ["w2", "w1"]
    assert deploy.with_another(["w1"], ["w1"]) == ["w1"]
    assert deploy.with_another([], ["w1"]) == []


def test_failures_of_registration_come_before_those_of_the_proof() -> None:
    both = {
        "__kraken_registration": {"failed_hosts": {"a": "not trusted"}},
        "__kraken_verify": {"failed_hosts": {"a": "no job", "b": "no job"}},
    }
    assert deploy.failed_hosts(both) == {"a": "not trusted", "b": "no job"}
    assert deploy.unregistered_hosts(both) == {"a": "not trusted"}
    assert deploy.failed_hosts({"__kraken_verify": {"skipped": True}}) == {}
