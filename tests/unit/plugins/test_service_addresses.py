"""The module service_addresses: containers over compose file over server settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.background import serving
from tests.unit.plugins.task_runs import Stage

MODULE = "kraken_ci.fleet.service_addresses"
COMPOSE = """
services:
  clickhouse-proxy:
    ports: ["${KRAKEN_CLICKHOUSE_PORT}:9001/udp"]
  minio:
    ports: ["9999:9999", "9998:10000"]
"""


class Engine(BaseHTTPRequestHandler):
    """As much of a Docker engine as answers which ports are published: one ClickHouse proxy on port 29001."""

    filters: ClassVar[list[dict[str, Any]]] = []

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.endswith("/containers/json"):
            self.filters.append(json.loads(parse_qs(url.query)["filters"][0]))
        answers = {"_ping": "OK", "version": {"ApiVersion": "1.41"}, "containers/json": [{"Id": "c1"}]}
        answers["containers/c1/json"] = {
            "Id": "c1",
            "Config": {"Labels": {"com.docker.compose.service": "clickhouse-proxy"}},
            "NetworkSettings": {"Ports": {"9001/udp": [{"HostIp": "0.0.0.0", "HostPort": "29001"}]}},
        }
        answer = next(value for ending, value in answers.items() if url.path.endswith(ending))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    class ThisEngine(Engine):
        filters: ClassVar[list[dict[str, Any]]] = []

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), ThisEngine)) as server:
        yield f"tcp://127.0.0.1:{server.server_port}", ThisEngine.filters


@pytest.fixture
def compose_file(tmp_path: Path) -> Path:
    path = tmp_path / "docker-compose.yaml"
    path.write_text(COMPOSE)
    (tmp_path / "prod.env").write_text("KRAKEN_CLICKHOUSE_PORT=19001\n")
    return path


def test_each_address_comes_from_the_most_trusted_witness(
    stage: Stage, engine: tuple[str, list[dict[str, Any]]], compose_file: Path
) -> None:
    with stage.client as client:
        client.update_settings({"general": {"clickhouse_addr": "clickhouse-proxy:9001", "minio_addr": "minio:9999"}})
    files = {"compose_file": str(compose_file), "env_file": str(compose_file.parent / "prod.env")}
    everyone = {"docker_url": engine[0], "project": "kraken", "docker_host": "kraken.example", **files}
    all_three, again, written, told = stage.play(
        {MODULE: everyone},
        {MODULE: everyone},
        {MODULE: {"docker_host": "kraken.example", **files}},
        {MODULE: {}},
    )
    assert not any(result["changed"] for result in (all_three, again, written, told))
    assert all_three["clickhouse"]["address"] == "kraken.example:29001"
    assert all_three["clickhouse"]["source"] == "containers"
    assert "compose file says kraken.example:19001" in all_three["clickhouse"]["reason"]
    assert "server settings says clickhouse-proxy:9001" in all_three["clickhouse"]["reason"]
    assert (all_three["minio"]["address"], all_three["minio"]["source"]) == ("kraken.example:9999", "compose file")
    assert again["clickhouse"] == all_three["clickhouse"]
    assert written["clickhouse"]["address"] == "kraken.example:19001"
    assert told["minio"]["address"] == "minio:9999"
    assert "looks like a container's name" in told["minio"]["reason"]
    assert engine[1][0] == {"label": ["com.docker.compose.project=kraken"]}


def test_the_host_of_the_containers_is_the_servers_unless_told(stage: Stage, compose_file: Path) -> None:
    (found,) = stage.play(
        {MODULE: {"compose_file": str(compose_file), "env_file": str(compose_file.parent / "prod.env")}}
    )
    assert found["clickhouse"]["address"] == "127.0.0.1:19001"


def test_mistakes_are_told_with_what_to_do(stage: Stage, compose_file: Path) -> None:
    nobody, unset, silent, no_host = stage.play(
        {MODULE: {}},
        {MODULE: {"compose_file": str(compose_file), "docker_host": "kraken.example"}},
        {MODULE: {"docker_url": "tcp://127.0.0.1:1"}},
        {MODULE: {"compose_file": str(compose_file), "env_file": str(compose_file.parent / "prod.env")}},
        KRAKEN_FLEET_SERVER="",
    )
    assert all(result["failed"] for result in (nobody, unset, silent, no_host))
    assert "Set at least one of docker_url, compose_file and server_url" in nobody["msg"]
    assert "KRAKEN_CLICKHOUSE_PORT is not set" in unset["msg"]
    assert "No Docker engine answers" in silent["msg"]
    assert "Set docker_host" in no_host["msg"]
