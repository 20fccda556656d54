"""First start, second start, and data directories and ports that cannot be used."""

from __future__ import annotations

import json
import socket
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kraken_fleet.errors import DataDirectoryError, PortInUseError, UsageError
from kraken_fleet.server import ServerSettings, create_app, serve
from kraken_fleet.server.core import Core
from kraken_fleet.server.testing import running

from .conftest import Api


def test_the_password_is_given_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        password = server.password
        Api(server)
    assert len(password) >= 20
    with running(tmp_path) as server:
        assert server.password == ""
        Api(server, password=password)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert password.encode() not in stored
    assert b"scrypt$" in stored


def test_tokens_are_kept_as_hashes_and_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        token = Api(server).token
    assert token.encode() not in (tmp_path / "server.sqlite").read_bytes()
    with running(tmp_path) as server:
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{server.url}/api/version", headers=headers, timeout=60).status_code == 200


def test_two_servers_do_not_share_a_password(tmp_path: Path) -> None:
    with running(tmp_path / "a") as one, running(tmp_path / "b") as two:
        assert one.password != two.password


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        for path in (tmp_path / "data").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_password_file_gives_the_first_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("chosen\n")
    with running(tmp_path / "data", admin_password_file=file) as server:
        assert server.password == ""
        Api(server, password="chosen")


@pytest.mark.parametrize(("text", "mode", "words"), [("", 0o600, "is empty"), ("x", 0o644, "Everybody can read")])
def test_a_password_file_of_no_use_is_refused(tmp_path: Path, text: str, mode: int, words: str) -> None:
    file = tmp_path / "password"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(UsageError, match=words):
        create_app(ServerSettings(tmp_path / "data", admin_password_file=file))
    with pytest.raises(UsageError, match="cannot be read"):
        create_app(ServerSettings(tmp_path / "data", admin_password_file=tmp_path / "missing"))


def test_settings_follow_new_addresses_but_not_what_somebody_set(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        password = server.password
        Api(server).call("PUT", "/api/settings", {"general": {"server_url": "https://kraken.example"}})
    with running(tmp_path) as server:
        general = Api(server, password=password).get("/settings")["general"]
    assert (general["server_url"], general["clickhouse_addr"]) == ("https://kraken.example", server.log_addr)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_one_clear_error(tmp_path: Path, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        option = "port" if kind == socket.SOCK_STREAM else "log_port"
        with pytest.raises(PortInUseError, match=f"Port {port} is in use") as caught:
            serve(ServerSettings(tmp_path / "data", **{"port": 0, option: port}))
    assert f"--{option.replace('_', '-')}" in (caught.value.hint or "")
    assert not (tmp_path / "data").exists()


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Cannot listen on 192\.0\.2\.7"):
        serve(ServerSettings(tmp_path, host="192.0.2.7", port=0))


def test_a_data_directory_serves_one_server(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(DataDirectoryError, match="Another server uses this directory"):
        create_app(ServerSettings(tmp_path))


def test_a_database_of_another_version_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    change(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(DataDirectoryError, match="has version 99, this program needs version"):
        create_app(ServerSettings(tmp_path))


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE theirs (x)")
    before = (tmp_path / "server.sqlite").read_bytes()
    with pytest.raises(DataDirectoryError, match="another program's database"):
        create_app(ServerSettings(tmp_path))
    assert b"theirs" in before
    assert b"agents_groups" not in (tmp_path / "server.sqlite").read_bytes()


def test_damage_is_named(tmp_path: Path) -> None:
    (tmp_path / "server.sqlite").write_bytes(b"not a database, but long enough to look like one" * 50)
    with pytest.raises(DataDirectoryError, match="The database is damaged") as caught:
        create_app(ServerSettings(tmp_path))
    assert str(tmp_path / "server.sqlite") in str(caught.value)


def test_a_torn_page_is_found(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    path = tmp_path / "server.sqlite"
    data = bytearray(path.read_bytes())
    data[8192:28672] = b"\xa5" * 20480
    path.write_bytes(data)
    with pytest.raises(DataDirectoryError, match="The database is damaged"):
        create_app(ServerSettings(tmp_path))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        create_app(ServerSettings(tmp_path / "file" / "data"))


def test_a_mounted_application_comes_after_the_servers_own_paths(tmp_path: Path) -> None:
    console = Starlette(routes=[Route("/{path:path}", lambda _request: PlainTextResponse("console"))])
    with running(tmp_path, mounts=[("/", console)]) as server:
        assert requests.get(f"{server.url}/agents", timeout=60).text == "console"
        assert requests.get(f"{server.url}/api/nope", timeout=60).status_code == 404
        assert requests.get(f"{server.url}/bk/install/nope", timeout=60).status_code == 404
        assert requests.get(f"{server.url}/api/agents", timeout=60).status_code == 401


def test_the_write_ahead_log_is_folded_while_the_server_runs(tmp_path: Path) -> None:
    core = Core.open(ServerSettings(tmp_path), lambda _password: None)
    try:
        line = json.dumps({"message": "x" * 6000, "@timestamp": datetime.now(UTC).isoformat()}).encode()
        for _ in range(2000):
            core.logs.take(line)
        core.logs.write()
        before = (tmp_path / "server.sqlite").stat().st_size
        core.db.fold()
        assert (tmp_path / "server.sqlite").stat().st_size > before + 8_000_000
        assert core.logs.count() == 2000
    finally:
        core.close()


def change(directory: Path, statement: str) -> None:
    connection = sqlite3.connect(directory / "server.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()
