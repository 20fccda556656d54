"""What a deploy says when something is wrong: one clear message, a non-zero exit, and the other hosts are done."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.e2e.loopback_fleet import Fleet, Played, alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NewFleet = Callable[..., Fleet]
DEPLOY = "deploy-agents.yml"


def refused(fleet: Fleet, *options: str) -> Played:
    """A deploy that must fail."""
    done = fleet.play(DEPLOY, *options)
    assert done.code != 0
    return done


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_all_wrong_variables_are_named_with_their_hosts_before_anything_is_done(new_fleet: NewFleet) -> None:
    fleet = new_fleet("good", "typo", "type", "choice", "nested", "template", "vault")
    fleet.host("typo")["kraken_agent_keep_version"] = 3
    fleet.host("type")["kraken_agent_keep_versions"] = "many"
    fleet.host("choice")["kraken_agent_service_manager"] = "upstart"
    fleet.host("nested")["kraken_agent_instances"] = [{"name": "a"}]
    fleet.host("template")["kraken_minio_addr"] = "{{ nobody_set_this }}"
    fleet.host("vault")["kraken_server_password"] = "{{ vault_password }}"
    done = refused(fleet)
    assert "The inventory is wrong; nothing was done." in done.message
    for message in (
        "host typo, variable kraken_agent_keep_version: There is no such variable. Did you mean kraken_agent_keep_v",
        "host type, variable kraken_agent_keep_versions: 'many' is not a whole number",
        "host choice, variable kraken_agent_service_manager: 'upstart' is not one of auto, systemd, process",
        "host nested, variable kraken_agent_instances: {'name': 'a'} has no address",
        "host template, variable kraken_minio_addr: It cannot be filled in",
        "host vault, variable kraken_server_password: It cannot be filled in",
    ):
        assert message in done.message
    assert "host good" not in done.message
    assert not (fleet.directory / "hosts").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kraken_agent_groups", "gpu", "'gpu' is not a list of groups"),
        ("kraken_agent_address", "build-1.example", "'build-1.example' is not an IP address"),
    ],
)
def test_an_impossible_value_is_named_with_its_host(
    new_fleet: NewFleet, name: str, value: object, message: str
) -> None:
    fleet = new_fleet("wrong")
    fleet.host("wrong")[name] = value
    done = refused(fleet)
    assert message in done.message
    assert "host wrong" in done.message


def test_two_hosts_with_one_address_are_refused(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.host("two")["kraken_agent_address"] = fleet.host("one")["kraken_agent_address"]
    done = refused(fleet)
    assert "one and two have the same address" in done.message


def test_hosts_of_two_servers_are_no_one_play(new_fleet: NewFleet) -> None:
    fleet = new_fleet("one", "two")
    fleet.host("two")["kraken_server_url"] = "http://another.example:6363"
    assert "belong to several servers" in fleet.play(DEPLOY).message


def test_a_server_that_is_not_there_is_named(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    url = f"http://127.0.0.1:{closed_port()}"
    done = refused(fleet, "-e", f"kraken_server_url={url}")
    assert "Nothing was done to any host, for the server cannot be used" in done.message
    assert f"{url}/bk/api/sessions: There is no connection (Connection refused)" in done.message
    assert "Check that the server runs and that the address and port are right" in done.message
    assert "Traceback" not in done.text
    assert not (fleet.directory / "hosts").exists()


def test_a_wrong_password_is_told_without_the_password(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    fleet.variables["kraken_server_password"] = "no-such-password"
    done = refused(fleet, "-vvv")
    assert fleet.server.url in done.message
    assert "password" in done.message
    assert "no-such-password" not in done.text


def test_an_account_that_is_no_administrator_is_told(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    fleet.variables["kraken_server_user"] = fleet.server.plain_user
    fleet.variables["kraken_server_password"] = fleet.server.plain_password
    done = refused(fleet)
    assert "The account may not do this" in done.message
    assert "Use an account with the superadmin role" in done.message


def test_an_agent_that_never_appears_fails_alone_and_the_reason_is_told(new_fleet: NewFleet) -> None:
    fleet = new_fleet("here", "lost")
    fleet.inventory["kraken_group_never_here"] = {"hosts": {"here": {}}}
    fleet.host("lost")["kraken_agent_server_url"] = f"http://127.0.0.1:{closed_port()}"
    done = refused(fleet, "-e", "kraken_registration_timeout=15", "-e", "kraken_prereqs_preflight=false")
    assert done.failed == {"here": False, "lost": True}
    address = fleet.host("lost")["kraken_agent_address"]
    assert f"the agent {address} did not appear within 15 s: no agent has ever claimed" in done.message
    assert [agent.group_names for agent in fleet.agents().values()] == [{"all", "never_here"}]


def test_a_corrupt_bundle_leaves_the_version_that_runs(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    quick = ["-e", "kraken_verify_enabled=false"]
    assert fleet.play(DEPLOY, *quick).code == 0
    pid, kkagent = fleet.pid("build-1"), fleet.directory / "bundle" / "kkagent"
    current = (fleet.home("build-1") / "current").readlink()

    kkagent.write_bytes(kkagent.read_bytes()[:-500])
    done = refused(fleet, *quick)
    assert str(kkagent) in done.message
    wanted = fleet.play(DEPLOY, *quick, "-e", '{"kraken_agent_bundle_sha256": {"kkagent": "' + "0" * 64 + '"}}')
    assert "The file is damaged: its sha256 is" in wanted.message
    assert alive(pid)
    assert (fleet.home("build-1") / "current").readlink() == current


def test_a_missing_bundle_is_named(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    fleet.variables["kraken_agent_bundle"] = "/nonexistent/bundle"
    done = refused(fleet)
    assert "/nonexistent/bundle/kkagent: The bundle cannot be read" in done.message


def test_a_host_without_python_is_told_what_to_do_and_the_others_are_done(new_fleet: NewFleet) -> None:
    fleet = new_fleet("good", "bare")
    fleet.host("bare")["ansible_python_interpreter"] = "/nonexistent/python3"
    done = refused(fleet, "-e", "kraken_prereqs_install=false", "-e", "kraken_verify_enabled=false")
    assert done.failed == {"good": False, "bare": True}
    assert "the host has no Python; the agent and Ansible need Python 3.8 or newer" in done.message
    assert "set kraken_prereqs_install to true" in done.message
    assert len(fleet.agents()) == 1


def test_a_directory_of_the_system_is_refused(new_fleet: NewFleet) -> None:
    fleet = new_fleet("build-1")
    fleet.host("build-1")["kraken_agent_dir"] = "/usr/lib"
    assert "belongs to the system" in fleet.play("remove-agents.yml", "--skip-tags", "server").message
