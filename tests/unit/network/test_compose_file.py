"""Reading a Kraken compose file."""

from pathlib import Path

import pytest

from kraken_fleet.errors import NetworkError
from kraken_fleet.network import ComposeFile, read_compose_file


def test_the_project_name_is_spelled_as_compose_spells_it(compose: ComposeFile) -> None:
    assert compose.project == "krakenprod"


def test_long_and_short_port_forms_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "services:\n  minio:\n    ports:\n"
        "      - {target: 9999, published: '8999', protocol: tcp, host_ip: 192.0.2.1}\n"
        '      - "192.0.2.1:8998:10000"\n'
        '      - "7000"\n'
    )
    ports = read_compose_file(path).published_ports()
    assert [(port.host_ip, port.host_port, port.container_port) for port in ports] == [
        ("192.0.2.1", 8999, 9999),
        ("192.0.2.1", 8998, 10000),
    ]


def test_another_env_file_can_be_named(compose_path: Path, tmp_path: Path) -> None:
    env_file = tmp_path / "kraken-1.7.env"
    env_file.write_text("KRAKEN_SERVER_PORT=1\nKRAKEN_CLICKHOUSE_PORT=2\nKRAKEN_MINIO_PORT=3\n")
    ports = {port.host_port for port in read_compose_file(compose_path, env_file).published_ports()}
    assert {1, 2, 3} <= ports


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [", "not valid YAML"),
        ("networks: {}", "has no services"),
        ("services: {minio: {ports: ['$NOBODY_SETS_THIS:1']}}", "Variable NOBODY_SETS_THIS is not set"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(NetworkError, match=message) as caught:
        read_compose_file(path)
    assert str(path) in str(caught.value)


def test_a_port_that_is_no_number_is_named_with_its_service(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("services: {minio: {ports: ['many:9999']}}")
    with pytest.raises(NetworkError, match="Service minio"):
        read_compose_file(path).published_ports()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"absent\.yaml: It cannot be read"):
        read_compose_file(tmp_path / "absent.yaml")
