"""Hosts are cut into slices that hold what a deploy needs on workers, and no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kraken_fleet.errors import InventoryError
from kraken_fleet.scale.divide import divide
from kraken_fleet.scale.runner import Slice

GROUPS = ("all", "kraken_agents", "kraken_group_build")


def one_slice(**variables: Any) -> dict[str, Any]:
    """The variables that workers get of a host."""
    (made,) = divide({"one": (variables, GROUPS)}, 10)
    found: dict[str, Any] = {**made.inventory["all"]["vars"], **made.inventory["all"]["hosts"]["one"]}
    return found


def test_slices_are_of_nearly_the_same_size_and_have_every_host_once() -> None:
    hosts = {
        f"host-{number}": ({"kraken_agent_dir": f"/{number}", "ansible_user": "root"}, GROUPS) for number in range(11)
    }
    made = divide(hosts, 4, ("--check",))
    assert [(one.number, len(one.hosts), one.options) for one in made] == [
        (1, 4, ("--check",)), (2, 4, ("--check",)), (3, 3, ("--check",))
    ]  # fmt: skip
    assert sorted(host for one in made for host in one.hosts) == sorted(hosts)


def test_what_is_the_same_for_all_hosts_of_a_slice_is_there_once() -> None:
    hosts = {name: ({"kraken_agent_dir": f"/{name}", "ansible_user": "root"}, GROUPS) for name in ("a", "b")}
    (made,) = divide(hosts, 2)
    assert made.inventory["all"] == {
        "hosts": {"a": {"kraken_agent_dir": "/a"}, "b": {"kraken_agent_dir": "/b"}},
        "vars": {"ansible_user": "root"},
        "children": {name: {"hosts": {"a": None, "b": None}} for name in ("kraken_agents", "kraken_group_build")},
    }
    assert Slice.from_json(made.to_json()) == made


def test_workers_get_what_the_deploy_reads_and_what_templates_name() -> None:
    given = {
        "kraken_agent_dir": "{{ base }}/agent",
        "base": "{{ root_of[site] }}",
        "root_of": {"north": "/srv"},
        "site": "north",
        "ansible_host": "192.0.2.1",
        "owner": "nobody reads it",
        "kraken_server_url": "http://kraken:6363",
    }
    assert one_slice(**given) == {name: value for name, value in given.items() if name != "owner"}


def test_the_account_on_the_server_stays_here_with_all_that_only_it_names() -> None:
    found = one_slice(
        kraken_server_user="admin",
        kraken_server_password="{{ vault_kraken_password }}",
        kraken_server_token={"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n00"},
        vault_kraken_password="hidden",
    )
    assert found == {}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ansible_password": "x"}, "variable ansible_password: It has the name of a secret"),
        ({"ansible_become_pass": "x"}, "variable ansible_become_pass: It has the name of a secret"),
        ({"ansible_ssh_private_key": "x"}, "variable ansible_ssh_private_key: It has the name of a secret"),
        ({"ansible_password": "{{ mine }}", "mine": "x"}, "variable ansible_password: It has the name of a secret"),
        ({"kraken_agent_environment": {"NPM_TOKEN": "x"}}, "It has 'NPM_TOKEN', the name of a secret"),
        ({"kraken_agent_environment": {"http_proxy": "http://a:b@proxy"}}, "It has a URL with a password"),
        ({"kraken_agent_dir": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;A"}}, "It is encrypted with Ansible Vault"),
        ({"kraken_agent_dir": "/{{ vault_x }}", "vault_x": "x"}, "variable vault_x: It has the name of a secret"),
    ],
)
def test_a_secret_is_refused_with_host_and_variable(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(InventoryError) as caught:
        one_slice(**variables)
    assert said in str(caught.value)
    assert str(caught.value).startswith("host one, ")


@pytest.mark.parametrize(
    "variables",
    [
        {"ansible_password": "{{ lookup('ansible.builtin.file', '/etc/kraken-fleet/password') }}"},
        {"ansible_ssh_private_key_file": "~/.ssh/agents"},
        {"kraken_agent_environment": {"http_proxy": "http://proxy:3128", "TOKEN": ""}},
        {"ansible_password": ""},
    ],
)
def test_what_only_looks_like_a_secret_is_sent(variables: dict[str, Any]) -> None:
    assert one_slice(**variables) == variables


def test_text_of_others_stays_text_and_names_no_variable() -> None:
    unsafe = {"__ansible_unsafe": "{{ vault_x }}"}
    found = one_slice(kraken_agent_system=unsafe, vault_x="hidden")
    assert found == {"kraken_agent_system": unsafe}
    assert "hidden" not in json.dumps(found)
