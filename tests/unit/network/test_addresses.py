"""Which address of ClickHouse and MinIO is believed, and why."""

import pytest

from kraken_fleet.errors import NetworkError
from kraken_fleet.network import Source, choose, from_containers, from_published_ports, from_settings
from kraken_fleet.network.addresses import PublishedPort
from kraken_fleet.network.compose_file import ComposeFile

INTERNAL = {"general": {"clickhouse_addr": "clickhouse-proxy:9001", "minio_addr": "minio:9999"}}


def test_the_compose_file_gives_the_published_udp_port_and_the_lower_minio_port(compose: ComposeFile) -> None:
    found = from_published_ports(compose.published_ports(), "192.0.2.7", Source.COMPOSE_FILE)
    assert found.clickhouse is not None
    assert found.minio is not None
    assert found.clickhouse.address == "192.0.2.7:19001"
    assert found.minio.address == "192.0.2.7:9999"


def test_containers_are_trusted_over_the_compose_file_over_the_settings(compose: ComposeFile) -> None:
    running = from_containers([PublishedPort("clickhouse-proxy", 9001, "udp", "0.0.0.0", 29001)], "kraken.example")
    written = from_published_ports(compose.published_ports(), "kraken.example", Source.COMPOSE_FILE)
    chosen = choose(
        [
            (Source.SETTINGS, from_settings(INTERNAL)),
            (Source.COMPOSE_FILE, written),
            (Source.CONTAINERS, running),
        ]
    )
    assert chosen.clickhouse is not None
    assert chosen.minio is not None
    assert chosen.clickhouse.address == "kraken.example:29001"
    assert "compose file says kraken.example:19001" in chosen.clickhouse.reason
    assert "server settings says clickhouse-proxy:9001" in chosen.clickhouse.reason
    assert (chosen.minio.address, chosen.minio.source) == ("kraken.example:9999", Source.COMPOSE_FILE)


def test_a_container_name_in_the_settings_is_doubted() -> None:
    found = from_settings(INTERNAL)
    assert found.clickhouse is not None
    assert "looks like a container's name" in found.clickhouse.reason


def test_an_empty_setting_is_no_witness() -> None:
    assert choose([(Source.SETTINGS, from_settings({"general": {"minio_addr": ""}}))]).minio is None


def test_a_port_published_on_loopback_only_is_refused() -> None:
    with pytest.raises(NetworkError, match="no other host can reach"):
        from_containers([PublishedPort("minio", 9999, "tcp", "127.0.0.1", 9999)], "kraken.example")


def test_an_ipv6_host_is_bracketed() -> None:
    found = from_containers([PublishedPort("minio", 9999, "tcp", "::", 9999)], "2001:db8::7")
    assert found.minio is not None
    assert found.minio.address == "[2001:db8::7]:9999"
