"""What arrives on a host of each setting, with each way of installing: kraken.env, unit, container and compose file.

Windows hosts are in tests/unit/windows.
"""

from __future__ import annotations

import itertools
import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.action import agent_host, compose_agents
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import (
    container,
    converge,
    env_file,
    spec_of,
    systemd,
    users,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import of_role
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import (
    BINARIES,
    COMPOSE,
    DOCKER,
    SCRIPT,
    Place,
)
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.settings import SETTINGS
from ansible_collections.kraken_ci.fleet.plugins.modules import agent_container

from kraken_fleet.network import ComposeFile, plan_override
from tests.unit.plugins.test_settings import DEFAULTS, sample

SERVER = {"kraken_agent_server_url": "http://k:6363"}
# What has to be set besides, for a setting to be noticed.
ALONG: Mapping[str, Mapping[str, Any]] = {
    "kraken_agent_allow_root": {"kraken_agent_user": "root"},
    "kraken_agent_fresh_nonce": {"kraken_registration_trust": "attested"},
    "kraken_agent_hardening": {"kraken_agent_sudo": True},
}
# The line that is there when the variable is set and not there by default; for one, the other way round.
TAKEN_AWAY = ("KeyringMode=private",)
_FILES = {
    "kraken_agent_server_url": "KRAKEN_SERVER_ADDR=https://kraken.example:6363",
    "kraken_clickhouse_addr": "KRAKEN_CLICKHOUSE_ADDR=logs.example:9001",
    "kraken_minio_addr": "KRAKEN_MINIO_ADDR=store.example:9999",
    "kraken_agent_address": "KRAKEN_AGENT_ADDRESS=192.0.2.7",
    "kraken_agent_tools_dirs": "KRAKEN_TOOLS_DIRS=/srv/tools:/srv/more",
    "kraken_agent_system_id": "KRAKEN_SYSTEM_ID=debian-12",
    "kraken_agent_drain_seconds": "TimeoutStopSec=107",
    "kraken_agent_update": "KRAKEN_AGENT_UPDATE=server",
    "kraken_agent_ca_bundle": "SSL_CERT_FILE=/opt/kraken/ca-bundle.crt",
    "kraken_registration_trust": "KRAKEN_AGENT_NONCE_FILE=/opt/kraken/nonce",
    "kraken_agent_fresh_nonce": "a new secret: True",
    "kraken_agent_environment": "MAKEFLAGS=-j3",
    "kraken_agent_instances": "KRAKEN_DATA_DIR=/opt/kraken-small/data",
    "kraken_agent_dir": "KRAKEN_DATA_DIR=/srv/kraken/data",
    "kraken_agent_unit": "unit ci-agent",
    "kraken_agent_python": "ExecStart=/usr/bin/python3.11 /opt/kraken/current/kkagent run",
    "kraken_agent_user": "User=ci",
    "kraken_agent_allow_root": "User=root",
    "kraken_agent_extra_groups": "group docker",
    "kraken_agent_sudo": "ci-sudo ALL=(ALL:ALL) NOPASSWD: ALL",
    "kraken_agent_hardening": "KeyringMode=private",
    "kraken_agent_unit_settings": "MemoryMax=4G",
    "kraken_agent_service_manager": "manager systemd",
    "kraken_agent_service_state": "stop kraken-agent",
    "kraken_agent_service_enabled": "disable kraken-agent",
    "kraken_agent_keep_versions": "keep 5",
    "kraken_agent_one_job": "HOME=/opt/kraken/data/home",
    # What is done with it is in test_signed_bundles.py.
    "kraken_agent_bundle_allowed_signers": "signers some-kraken_agent_bundle_allowed_signers",
}
_NOT_BY_SCRIPT = ("kraken_agent_instances", "kraken_agent_bundle_allowed_signers")
ARRIVES: Mapping[str, Mapping[str, str]] = {
    BINARIES: _FILES,
    SCRIPT: {name: line for name, line in _FILES.items() if name not in _NOT_BY_SCRIPT},
    DOCKER: {
        **{name: _FILES[name] for name in _FILES if name.startswith(("kraken_clickhouse", "kraken_minio"))},
        "kraken_agent_server_url": _FILES["kraken_agent_server_url"],
        "kraken_agent_address": _FILES["kraken_agent_address"],
        "kraken_agent_tools_dirs": "type=bind,source=/srv/more,target=/srv/more,readonly",
        "kraken_agent_system_id": _FILES["kraken_agent_system_id"],
        "kraken_agent_drain_seconds": "--stop-timeout 107",
        "kraken_agent_ca_bundle": "SSL_CERT_FILE=/etc/kraken-ca-bundle.crt",
        "kraken_agent_environment": _FILES["kraken_agent_environment"],
        "kraken_agent_unit": "--name ci-agent-new",
        "kraken_agent_container_network": "--network ci",
        "kraken_agent_docker_socket": "--volume /var/run/docker.sock:/var/run/docker.sock",
        "kraken_agent_restart_policy": "--restart always",
        "kraken_agent_one_job": "--read-only --volume",
    },
    COMPOSE: {
        "kraken_agent_server_url": "- KRAKEN_SERVER_ADDR=https://kraken.example:6363",
        "kraken_clickhouse_addr": "- KRAKEN_CLICKHOUSE_ADDR=logs.example:9001",
        "kraken_minio_addr": "- KRAKEN_MINIO_ADDR=store.example:9999",
        "kraken_agent_tools_dirs": "source: /srv/more",
        "kraken_agent_system_id": "- KRAKEN_SYSTEM_ID=debian-12",
        "kraken_agent_drain_seconds": "stop_grace_period: 107s",
        "kraken_agent_environment": "- MAKEFLAGS=-j3",
        "kraken_agent_instances": "ipv4_address: 172.20.0.8",
        "kraken_agent_docker_socket": "- /var/run/docker.sock:/var/run/docker.sock",
        "kraken_agent_restart_policy": "restart: always",
        "kraken_agent_one_job": "read_only: true",
    },
}
CASES = [(method, setting.variable) for method in ARRIVES for setting in SETTINGS if method in setting.methods]


def options(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return of_role(method, {**DEFAULTS, **SERVER, **values})


@pytest.fixture
def systemd_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with systemd, root, sudo and the group docker, whose agent runs."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(systemd, "is_running", lambda: True)
    now = {
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "MainPID": "1",
        "NeedDaemonReload": "no",
    }
    monkeypatch.setattr(systemd, "show", lambda unit: now)
    monkeypatch.setattr(users, "find", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(users, "_user", lambda name: pwd.getpwnam(name) if name == "root" else None)
    monkeypatch.setattr(users, "_group", lambda name: object() if name == "docker" else None)
    monkeypatch.setattr(spec_of, "choose", lambda wanted, user: wanted or "/usr/bin/python3")


def files(method: str, values: Mapping[str, Any]) -> list[str]:
    """Everything that a deploy as files puts on a host."""
    defaults = {name: option.get("default") for name, option in agent_host.ActionModule.ARGUMENTS.items()}
    source = "script" if method == SCRIPT else "bundle"
    params = {**defaults, **options(method, values), "source": source, "install_script": "", "self_checking": True}
    (agent,) = spec_of.specs_of(params)
    lines = env_file.render(agent.environment).splitlines() + systemd.unit_text(agent).splitlines()
    for change in converge.present([agent], None, root=True):
        lines += [change.what, *change.diff["after"].replace("kraken ALL", "ci-sudo ALL").splitlines()]
    lines += [f"unit {agent.unit}", f"manager {params['service_manager']}", f"keep {agent.keep_versions}"]
    lines += [f"signers {params['bundle_allowed_signers']}"]
    return [*lines, f"a new secret: {agent.fresh_nonce}"]


def boxed(values: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that `docker create` and `docker cp` are called with."""
    lines: list[str] = []

    def run(command: Sequence[str], **_: Any) -> str:
        lines.extend(f"{one} {other}" for one, other in itertools.pairwise(command))
        lines.extend(command)
        if "--env-file" in command:
            lines.extend(Path(command[command.index("--env-file") + 1]).read_text().splitlines())
        return ""

    monkeypatch.setattr(container, "run", run)
    declared: Mapping[str, Any] = agent_container.ARGUMENTS
    params = {name: option.get("default") for name, option in declared.items()}
    wanted = container.wanted_of({**params, **options(DOCKER, values), "image": "kkagent:1.0"})
    next(container.present(wanted)).apply()
    return lines


def composed(values: Mapping[str, Any], compose: ComposeFile) -> list[str]:
    """The lines of the override file."""
    arguments = {"agents": [{"name": "small", "address": "172.20.0.9"}], **options(COMPOSE, values)}
    # The action leaves the controller's own server out.
    arguments["server_url"] = values.get("kraken_agent_server_url", "")
    arguments["agents"] = arguments["agents"] or [{"name": "small", "address": "172.20.0.9"}]
    agents = [compose_agents._agent(arguments, one) for one in arguments["agents"]]
    planned = plan_override(
        compose, agents, subnet="172.20.0.0/16", image="kkagent:1.0", other_subnets={}, current_subnet=None
    )
    return [line.strip() for line in yaml.safe_dump(dict(planned.content)).splitlines()]


@pytest.fixture
def compose() -> ComposeFile:
    networks: dict[str, Any] = {"networks": {"lab_net": {}}}
    return ComposeFile(Path("/srv/kraken/compose.yaml"), {"services": {"server": networks}, **networks})


def lines_of(
    method: str, values: Mapping[str, Any], compose: ComposeFile, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    if method == DOCKER:
        return boxed(values, monkeypatch)
    return composed(values, compose) if method == COMPOSE else files(method, values)


def expected(method: str, variable: str) -> str:
    """The line of a variable: of one that is an environment variable and nothing else it needs not be written down."""
    setting = next(one for one in SETTINGS if one.variable == variable)
    if variable in ARRIVES[method]:
        return ARRIVES[method][variable]
    assert not setting.more, f"ARRIVES in {Path(__file__).name} does not say what {variable} becomes with {method}"
    line = f"{setting.name}={setting.text(sample(variable), Place(method))}"
    return f"- {line}" if method == COMPOSE else line


@pytest.mark.parametrize(("method", "variable"), CASES)
def test_a_variable_arrives_on_the_host(
    method: str, variable: str, systemd_host: None, compose: ComposeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = expected(method, variable)
    without = ALONG.get(variable, {}) if variable != "kraken_agent_allow_root" else {}
    before = lines_of(method, without, compose, monkeypatch)
    after = lines_of(method, {**ALONG.get(variable, {}), variable: sample(variable)}, compose, monkeypatch)
    assert (line in before, line in after) == ((True, False) if line in TAKEN_AWAY else (False, True))


@pytest.mark.parametrize("method", list(ARRIVES))
def test_users_variables_win_over_what_settings_become(
    method: str, systemd_host: None, compose: ComposeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "kraken_clickhouse_addr": "derived:9001",
        "kraken_agent_environment": {
            "KRAKEN_CLICKHOUSE_ADDR": "own:9001",
            "KRAKEN_AGENT_DRAIN_SECONDS": "600",
            "KRAKEN_SERVER_ADDR": "",
        },
        **SERVER,
    }
    text = "\n".join(lines_of(method, values, compose, monkeypatch))
    assert "KRAKEN_CLICKHOUSE_ADDR=own:9001" in text
    assert "derived" not in text
    assert "KRAKEN_SERVER_ADDR=http://k:6363" in text
    # The service manager waits as long as the agent was told to.
    stop = {DOCKER: "--stop-timeout 630", COMPOSE: "stop_grace_period: 630s"}
    assert stop.get(method, "TimeoutStopSec=630") in text
