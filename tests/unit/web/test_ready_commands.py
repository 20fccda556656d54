"""The ready commands of the page Downloads say what a deploy does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import container
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.applied_settings import environment
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.setting import DOCKER, Place

from kraken_fleet import __version__
from kraken_fleet.collection import role_variables
from kraken_fleet.network import AgentService, override_content
from kraken_fleet.web.pages.downloads import _commands, _completed

GENERAL = {
    "server_url": "http://kraken.example:6363",
    "clickhouse_addr": "kraken.example:9001",
    "minio_addr": "kraken.example:9999",
}
DEFAULTS: dict[str, Any] = {name: option.get("default") for name, option in role_variables()["kraken_agent"].items()}
OPTIONS = {"server_url": GENERAL["server_url"], **{name: GENERAL[name] for name in ("clickhouse_addr", "minio_addr")}}


def test_kraken_env_has_the_variables_that_a_deploy_writes() -> None:
    lines = dict(line.split("=", 1) for line in _commands(GENERAL)["env"].splitlines())
    assert lines == environment(OPTIONS, Place(DOCKER))


def test_the_inventory_has_variables_of_the_role_with_the_servers_addresses() -> None:
    found = yaml.safe_load(_commands(GENERAL)["ansible"])
    assert found == {
        "kraken_server_url": GENERAL["server_url"],
        "kraken_clickhouse_addr": GENERAL["clickhouse_addr"],
        "kraken_minio_addr": GENERAL["minio_addr"],
    }
    assert set(found) <= set(DEFAULTS)


def test_the_container_is_started_as_the_role_creates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[str] = []

    def run(command: Sequence[str], **_: Any) -> str:
        if "create" in command:
            created.extend(command)
            created.extend(Path(command[command.index("--env-file") + 1]).read_text().splitlines())
        return ""

    monkeypatch.setattr(container, "run", run)
    wanted = container.Container(
        "kraken-agent",
        "kraken-fleet/kkagent:1.0",
        environment(OPTIONS, Place(DOCKER)),
        network=DEFAULTS["kraken_agent_container_network"],
        restart_policy=DEFAULTS["kraken_agent_restart_policy"],
        docker_socket=DEFAULTS["kraken_agent_docker_socket"],
        drain_seconds=DEFAULTS["kraken_agent_drain_seconds"],
    )
    next(container.present(wanted)).apply()
    said = _commands(GENERAL)["docker"].replace("\\\n", "").split()
    words = [
        word for word in said if word not in ("docker", "run", "--detach", "-e", f"kraken-fleet/kkagent:{__version__}")
    ]
    assert [word for word in words if word not in created] == []
    assert not [word for word in said if "docker.sock" in word], "whoever has the socket is root on the host"


def test_the_compose_file_is_what_the_role_writes() -> None:
    agent = AgentService(
        "agent1",
        "172.20.0.11",
        docker_socket=DEFAULTS["kraken_agent_docker_socket"],
        restart=DEFAULTS["kraken_agent_restart_policy"],
        stop_seconds=DEFAULTS["kraken_agent_drain_seconds"] + 30,
    )
    wanted = override_content([agent], "172.20.0.0/16", f"kraken-fleet/kkagent:{__version__}")
    assert yaml.safe_load(_commands(GENERAL)["compose"]) == wanted


@pytest.mark.parametrize("url", ["http://kraken.example:6363", "http://[fd00::5]:6363"])
def test_no_command_has_a_placeholder_when_the_server_says_nothing(url: str) -> None:
    known = _completed(dict.fromkeys(GENERAL, ""), url)
    host = url.removeprefix("http://").removesuffix(":6363")
    assert known == {"server_url": url, "clickhouse_addr": f"{host}:9001", "minio_addr": f"{host}:9999"}
    assert not [text for text in _commands(known).values() if "SERVER:" in text or "VERSION" in text]
