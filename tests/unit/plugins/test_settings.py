"""The table of an agent's settings: every variable is in it, and what each method makes of each one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kraken_agent
import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import applied_settings
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import (
    BINARIES,
    COMPOSE,
    DOCKER,
    METHODS,
    OURS,
    SCRIPT,
    UPSTREAM,
    WINDOWS,
    Place,
    Setting,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import NOT_SETTINGS, SETTINGS

from kraken_fleet.collection import role_variables

DECLARED = role_variables()["kraken_agent"]
DEFAULTS = {name: option.get("default") for name, option in DECLARED.items()}
# What somebody may set variables to that are more than a plain value of their type.
PLAYED: Mapping[str, Any] = {
    "kraken_agent_server_url": "https://kraken.example:6363",
    "kraken_clickhouse_addr": "logs.example:9001",
    "kraken_minio_addr": "store.example:9999",
    "kraken_agent_address": "192.0.2.7",
    "kraken_agent_tools_dirs": ["/srv/tools", "/srv/more"],
    "kraken_agent_system_id": "debian-12",
    "kraken_agent_drain_seconds": 77,
    "kraken_agent_update": "server",
    "kraken_agent_ca_bundle": "/etc/ca.crt",
    "kraken_registration_trust": "attested",
    "kraken_agent_fresh_nonce": True,
    "kraken_agent_environment": {"MAKEFLAGS": "-j3"},
    "kraken_agent_instances": [{"name": "small", "address": "172.20.0.8"}],
    "kraken_agent_dir": "/srv/kraken",
    "kraken_agent_unit": "ci-agent",
    "kraken_agent_python": "/usr/bin/python3.11",
    "kraken_agent_user": "ci",
    "kraken_agent_allow_root": True,
    "kraken_agent_extra_groups": ["docker"],
    "kraken_agent_sudo": True,
    "kraken_agent_hardening": False,
    "kraken_agent_unit_settings": {"MemoryMax": "4G"},
    "kraken_agent_service_manager": "systemd",
    "kraken_agent_service_state": "stopped",
    "kraken_agent_service_enabled": False,
    "kraken_agent_keep_versions": 5,
    "kraken_agent_container_network": "ci",
    "kraken_agent_docker_socket": True,
    "kraken_agent_restart_policy": "always",
}
UPSTREAMS_OWN = {
    "KRAKEN_SERVER_ADDR", "KRAKEN_DATA_DIR", "KRAKEN_TOOLS_DIRS", "KRAKEN_CLICKHOUSE_ADDR", "KRAKEN_SYSTEM_ID",
    "SSL_CERT_FILE",
}  # fmt: skip


def place(method: str = BINARIES, agent: str = OURS) -> Place:
    return Place(method, agent, data="/opt/kraken/data", nonce="/opt/kraken/nonce", ca_bundle="/opt/kraken/ca.crt")


def test_every_variable_of_the_role_is_a_setting_or_is_said_to_be_none() -> None:
    of_table = [setting.variable for setting in SETTINGS]
    others = [name for names in NOT_SETTINGS.values() for name in names]
    assert len(of_table) == len(set(of_table))
    assert len(others) == len(set(others))
    missing = set(DECLARED) - set(of_table) - set(others)
    assert not missing, f"plugins/module_utils/host/settings.py says nothing of {sorted(missing)}"
    undeclared = {*of_table, *others} - set(DECLARED)
    assert not undeclared, f"roles/kraken_agent/meta/argument_specs.yml does not declare {sorted(undeclared)}"
    assert not set(of_table) & set(others)


def sample(variable: str) -> Any:
    """A value that the variable may have and does not have by default."""
    if variable in PLAYED:
        return PLAYED[variable]
    declared = DECLARED[variable]
    others = [choice for choice in declared.get("choices", ()) if choice != declared.get("default")]
    kinds = {"int": 41, "bool": not declared.get("default"), "list": ["one", "two"], "dict": {"ONE": "two"}}
    return others[-1] if others else kinds.get(declared["type"], f"some-{variable}")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
def test_a_setting_says_what_it_becomes_with_each_method_that_honours_it(setting: Setting) -> None:
    assert set(setting.methods) <= set(METHODS)
    for method in setting.methods:
        assert setting.name or method in setting.more, f"{setting.variable} becomes nothing with {method}"
    assert set(setting.more) <= set(setting.methods)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
def test_a_variable_is_honoured_or_refused_by_name(setting: Setting, method: str) -> None:
    values = {**DEFAULTS, setting.variable: sample(setting.variable)}
    said = applied_settings.refusals(method, values, DEFAULTS)
    # Nothing is lost without it: each method that has no service manager of its own ignores which one it is.
    if method in setting.methods or setting.variable == "kraken_agent_service_manager":
        assert said == []
    else:
        (sentence,) = said
        assert sentence.startswith(setting.variable)
        assert sentence.count(". ") == 1, "it has to say what to do"


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_refused_that_nobody_has_set(method: str) -> None:
    assert applied_settings.refusals(method, DEFAULTS, DEFAULTS) == []
    # Variables of the command line are text.
    said = {**DEFAULTS, "kraken_agent_hardening": "true", "kraken_agent_keep_versions": "3"}
    assert applied_settings.refusals(method, said, DEFAULTS) == []


def test_what_users_gave_wins_and_an_empty_variable_erases_nothing() -> None:
    options = {"server_url": "http://k:6363", "clickhouse_addr": "", "system_id": "debian-12", "minio_addr": None}
    host = {"KRAKEN_CLICKHOUSE_ADDR": "logs:9001", "KRAKEN_SYSTEM_ID": "mine", "KRAKEN_SERVER_ADDR": ""}
    found = applied_settings.environment(options, place(), host, {"KRAKEN_SYSTEM_ID": "", "A": None, "B": 1})
    assert found == {
        "KRAKEN_SERVER_ADDR": "http://k:6363",
        "KRAKEN_CLICKHOUSE_ADDR": "logs:9001",
        "KRAKEN_SYSTEM_ID": "mine",
        "KRAKEN_DATA_DIR": "/opt/kraken/data",
        "B": "1",
    }


def test_krakens_own_agent_gets_no_variables_that_it_does_not_know() -> None:
    played = {setting.variable: sample(setting.variable) for setting in SETTINGS}
    options = applied_settings.of_role(BINARIES, {**played, "kraken_agent_server_url": "k:6363"})
    found = applied_settings.environment(options, place(agent=UPSTREAM))
    assert set(found) == UPSTREAMS_OWN
    assert found["KRAKEN_SERVER_ADDR"] == "http://k:6363", "it wants a scheme"
    assert found["KRAKEN_TOOLS_DIRS"] == "/srv/tools,/srv/more"
    assert (
        applied_settings.environment({}, place(agent=UPSTREAM), {"KRAKEN_AGENT_SLOT": "1"})["KRAKEN_AGENT_SLOT"] == "1"
    )


@pytest.mark.parametrize(
    "variable",
    [
        "kraken_agent_dir",
        "kraken_agent_instances",
        "kraken_registration_trust",
        "kraken_agent_update_sha256",
        "kraken_agent_update_older",
    ],
)
def test_what_krakens_own_agent_cannot_do_is_refused(variable: str) -> None:
    values = {**DEFAULTS, variable: sample(variable)}
    (said,) = applied_settings.refusals(BINARIES, values, DEFAULTS, UPSTREAM)
    assert said.startswith(variable)
    assert "is not for Kraken's own agent" in said


@pytest.mark.parametrize("value", [True, "true", "yes"])
def test_what_is_dangerous_is_asked_for_by_yes_alone(value: object) -> None:
    options = {"docker_socket_in_jobs": value, "update_older": value, "update_sha256": ["a" * 64, "b" * 64]}
    found = applied_settings.environment(options, place())
    assert found["KRAKEN_AGENT_DOCKER_SOCKET_IN_JOBS"] == found["KRAKEN_AGENT_UPDATE_OLDER"] == "yes"
    assert found["KRAKEN_AGENT_UPDATE_SHA256"] == f"{'a' * 64},{'b' * 64}"
    refused = applied_settings.environment({"docker_socket_in_jobs": "false", "update_older": False}, place())
    assert set(refused) == {"KRAKEN_DATA_DIR"}


@pytest.mark.parametrize("method", [BINARIES, SCRIPT, DOCKER, COMPOSE, WINDOWS])
def test_a_secrets_file_is_not_named_by_hand(method: str) -> None:
    values = {**DEFAULTS, "kraken_agent_environment": {"KRAKEN_AGENT_NONCE_FILE": "/tmp/n"}}
    (said,) = applied_settings.refusals(method, values, DEFAULTS)
    assert "Set kraken_registration_trust to attested" in said


def test_our_agent_reads_every_variable_that_a_setting_becomes() -> None:
    sources = Path(kraken_agent.__file__).parent.rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources if path.name != "install.py")
    # Python itself reads that one.
    names = [one.name for one in SETTINGS if one.name and OURS in one.agents and one.name != "SSL_CERT_FILE"]
    unread = [name for name in names if name not in text]
    assert not unread, f"agent/kraken_agent does not read {unread}; see config.py"


def test_a_setting_without_an_option_goes_the_way_of_users_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    colour = Setting("kraken_agent_colour", name="KRAKEN_AGENT_COLOUR")
    monkeypatch.setattr(applied_settings, "SETTINGS", (*SETTINGS, colour))
    values = {"kraken_agent_colour": "blue", "kraken_agent_environment": {"A": "b"}}
    assert applied_settings.of_role(DOCKER, values)["environment"] == {"KRAKEN_AGENT_COLOUR": "blue", "A": "b"}
    values["kraken_agent_environment"] = {"KRAKEN_AGENT_COLOUR": "red"}
    assert applied_settings.of_role(DOCKER, values)["environment"] == {"KRAKEN_AGENT_COLOUR": "red"}
