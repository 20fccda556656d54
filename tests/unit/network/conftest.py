"""A compose project with the services, ports and networks that Kraken's own has."""

from pathlib import Path

import pytest

from kraken_fleet.network import ComposeFile, read_compose_file

COMPOSE = """
services:
  server:
    image: kkserver
    ports: ["$KRAKEN_SERVER_PORT:$KRAKEN_SERVER_PORT"]
    networks: [db_net, lab_net]
  agent:
    image: kkagent
    environment: [KRAKEN_SERVER_ADDR, KRAKEN_AGENT_BUILTIN=1]
    networks: [lab_net]
  clickhouse-proxy:
    image: kkchproxy
    ports: ["${KRAKEN_CLICKHOUSE_PORT}:9001/udp"]
    networks: [db_net, lab_net]
  minio:
    image: minio
    ports:
      - "${KRAKEN_MINIO_PORT:-9999}:9999"
      - "${KRAKEN_MINIO_CONSOLE_PORT:-9998}:10000"
    networks:
      lab_net: {ipv4_address: 172.20.0.5}
networks:
  db_net: {driver: bridge}
  lab_net: {driver: bridge}
"""


@pytest.fixture
def compose_path(tmp_path: Path) -> Path:
    project = tmp_path / "Kraken.Prod"
    project.mkdir()
    (project / ".env").write_text("KRAKEN_SERVER_PORT=6363\nKRAKEN_CLICKHOUSE_PORT=19001\n")
    path = project / "docker-compose.yaml"
    path.write_text(COMPOSE)
    return path


@pytest.fixture
def compose(compose_path: Path) -> ComposeFile:
    return read_compose_file(compose_path)
