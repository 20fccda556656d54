"""A database that is empty, cut short, another program's or without room is named, and never begun anew."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kraken_fleet.errors import DataDirectoryError
from kraken_fleet.server.core import Core
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.store.tables import SCHEMA_VERSION


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that was used before."""
    opened(tmp_path / "data").close()
    return tmp_path / "data"


def opened(directory: Path) -> Core:
    return Core.open(ServerSettings(directory), lambda _password: None)


@pytest.mark.parametrize(
    ("length", "words"), [(0, "it is empty"), (50, "damaged"), (4096, "damaged"), (20_000, "damaged")]
)
def test_a_database_that_was_cut_short_is_no_new_one(data: Path, length: int, words: str) -> None:
    file = data / "server.sqlite"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(DataDirectoryError, match=words):
        opened(data)
    assert file.stat().st_size == length


def test_a_database_without_tables_is_no_new_one(data: Path) -> None:
    file = data / "server.sqlite"
    file.unlink()
    with closing(sqlite3.connect(file)) as database:
        database.execute("VACUUM")
        database.execute("CREATE TABLE x (y)")
        database.execute("DROP TABLE x")
    with pytest.raises(DataDirectoryError, match="another program"):
        opened(data)


def test_a_first_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/server.sqlite.new").write_bytes(b"half")
    passwords: list[str] = []
    Core.open(ServerSettings(tmp_path / "data"), passwords.append).close()
    assert len(passwords) == 1


def test_an_older_database_is_brought_up_and_keeps_what_it_has(data: Path) -> None:
    file = data / "server.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.executescript("DROP TABLE deliveries; DROP TABLE log_sizes; PRAGMA user_version = 2;")
        database.execute(
            "INSERT INTO agents (name, address, ip_address, state, authorized, disabled, last_assigned, created) "
            "VALUES ('a', '10.0.0.1', '::ffff:10.0.0.1', 0, 1, 0, 0, 0)"
        )
        database.commit()
    core = opened(data)
    assert core.roster.is_known("10.0.0.1")
    core.close()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert database.execute("SELECT ip_address FROM agents").fetchall() == [("10.0.0.1",)]


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION + 1])
def test_a_database_of_an_unknown_version_is_refused(data: Path, version: int) -> None:
    with closing(sqlite3.connect(data / "server.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(DataDirectoryError, match=f"version {version}"):
        opened(data)


_WITHOUT_ROOM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
from kraken_fleet.cli.main import main
sys.exit(main(["serve", "--port", "0", "--data-dir", sys.argv[1]]))
"""


@pytest.mark.parametrize("room", [0, 4096, 100_000])
def test_a_disk_without_room_is_said_in_clear_words(tmp_path: Path, room: int) -> None:
    command = [sys.executable, "-c", _WITHOUT_ROOM, str(tmp_path / "data"), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be" in done.stderr
    # With room it starts, as for the first time.
    opened(tmp_path / "data").close()
