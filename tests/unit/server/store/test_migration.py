"""Databases of older versions: brought up whole or not at all, with a copy from before; newer ones are left alone."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from kraken_fleet.errors import DataDirectoryError
from kraken_fleet.server.backup import back_up, restore
from kraken_fleet.server.core import Core
from kraken_fleet.server.settings import ServerSettings
from kraken_fleet.server.store import migration
from kraken_fleet.server.store.database import DATABASE
from kraken_fleet.server.store.migration import OLDEST_VERSION, copy_of, revision_of
from kraken_fleet.server.store.tables import SCHEMA_VERSION
from kraken_fleet.server.testing import running
from tests.unit.server.conftest import Api

VERSION_2 = Path(__file__).with_name("version-2.sql")
Rows = list[tuple[Any, ...]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data directory with a database that a kraken-fleet of version 2 made and used."""
    data = tmp_path / "old"
    data.mkdir(mode=0o700)
    with closing(sqlite3.connect(data / DATABASE)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(VERSION_2.read_text())
    return data


def read(path: Path, query: str, *values: str) -> Rows:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query, values).fetchall()


def schema(path: Path) -> dict[str, object]:
    """Columns, keys and indexes of each table, in an order that means nothing."""
    found: dict[str, object] = {}
    for (table,) in read(path, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        columns = read(path, 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', table)
        keys = read(path, 'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(?)', table)
        indexes = [
            (unique, origin, read(path, "SELECT name FROM pragma_index_info(?)", name))
            for name, unique, origin in read(path, 'SELECT name, "unique", origin FROM pragma_index_list(?)', table)
        ]
        found[table] = (sorted(columns), sorted(keys), sorted(map(repr, indexes)))
    return found


def started(data: Path) -> Core:
    return Core.open(ServerSettings(data), lambda password: pytest.fail(f"a first start: {password}"))


def test_a_database_that_is_brought_up_is_like_a_new_one(old: Path, tmp_path: Path) -> None:
    """So whoever changes a table and writes no revision is told."""
    Core.open(ServerSettings(tmp_path / "new"), lambda _password: None).close()
    started(old).close()
    assert schema(old / DATABASE) == schema(tmp_path / "new" / DATABASE)
    assert read(old / DATABASE, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_what_was_in_it_is_there_and_the_server_works_with_it(old: Path) -> None:
    queries = ["SELECT * FROM runs", "SELECT * FROM jobs", "SELECT * FROM secrets", "SELECT * FROM users"]
    before = [read(old / DATABASE, query) for query in queries]
    with running(old) as server:
        api = Api(server, password="known-to-the-tests")
        (agent,) = api.get("/agents")["items"]
        assert (agent["address"], agent["ip_address"], agent["authorized"]) == ("10.0.0.21", "127.0.0.1", True)
        assert [group["name"] for group in agent["groups"]] == ["all", "linux"]
        log = [line["message"] for line in api.get("/jobs/1/logs?start=0&limit=10")["items"]]
        assert log == ["line 0 of the build", "line 1 of the build", "line 2 of the build"]
    assert [read(old / DATABASE, query) for query in queries] == before
    assert read(old / DATABASE, "SELECT job, size FROM log_sizes") == [(1, 3 * (19 + 100))]


def test_a_copy_from_before_is_kept_that_only_its_owner_reads(old: Path) -> None:
    before = list(read(old / DATABASE, "SELECT * FROM agents"))
    started(old).close()
    kept = copy_of(old / DATABASE, 2)
    assert read(kept, "PRAGMA user_version") == [(2,)]
    assert read(kept, "SELECT * FROM agents") == before
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.replace(old / DATABASE)
    started(old).close()
    assert kept.exists(), "the way back can be gone twice"


def test_without_room_for_a_copy_nothing_is_changed(old: Path) -> None:
    # A directory in its place: also root cannot write there.
    (old / "server-version-2.sqlite.new").mkdir()
    with pytest.raises(DataDirectoryError, match="cannot be copied before"):
        started(old)
    assert read(old / DATABASE, "PRAGMA user_version") == [(2,)]


def test_a_revision_that_fails_halfway_leaves_the_database_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema(old / DATABASE)

    def broken(*_: object) -> None:
        raise RuntimeError("halfway")

    with monkeypatch.context() as patched:
        patched.setattr(migration, "_refuse_dangling", broken)
        with pytest.raises(RuntimeError, match="halfway"):
            started(old)
    assert schema(old / DATABASE) == before
    assert read(old / DATABASE, "PRAGMA user_version") == [(2,)]
    started(old).close()


def test_a_row_that_names_one_that_is_not_there_stops_it(old: Path) -> None:
    with closing(sqlite3.connect(old / DATABASE)) as database:
        database.execute("UPDATE runs SET stage_id = 999")
        database.commit()
    with pytest.raises(DataDirectoryError, match="a row of runs names one of stages"):
        started(old)
    assert read(old / DATABASE, "PRAGMA user_version") == [(2,)]


@pytest.mark.parametrize("version", [OLDEST_VERSION - 1, SCHEMA_VERSION + 1])
def test_a_version_that_is_not_known_is_refused_and_left_alone(old: Path, version: int) -> None:
    with closing(sqlite3.connect(old / DATABASE)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    content = (old / DATABASE).read_bytes()
    with pytest.raises(DataDirectoryError, match=f"has version {version}, this program needs version"):
        started(old)
    assert read(old / DATABASE, "PRAGMA user_version") == [(version,)]
    assert not list(old.glob("*-version-*"))
    assert (old / DATABASE).read_bytes() == content


def test_a_backup_of_an_older_database_is_brought_up_as_it_is_restored(old: Path, tmp_path: Path) -> None:
    assert back_up(old, tmp_path / "backup").database_version == 2
    assert read(old / DATABASE, "PRAGMA user_version") == [(2,)], "a backup changes nothing"
    assert restore(tmp_path / "backup", tmp_path / "new").manifest.database_version == 2
    assert read(tmp_path / "new" / DATABASE, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert not list((tmp_path / "new").glob("*-version-*")), "the backup is the copy"
    started(tmp_path / "new").close()


def test_each_version_has_one_revision_and_the_last_is_this_programs() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    found = [script.revision for script in scripts.walk_revisions()]
    assert found == [revision_of(version) for version in range(SCHEMA_VERSION, OLDEST_VERSION - 1, -1)]


_START = """
import sys
from pathlib import Path
from kraken_fleet.server.core import Core
from kraken_fleet.server.settings import ServerSettings
Core.open(ServerSettings(Path(sys.argv[1])), lambda _password: None).close()
print("alembic" in sys.modules)
"""


def test_alembic_is_imported_only_for_an_older_database(old: Path) -> None:
    said = [
        subprocess.run([sys.executable, "-c", _START, str(old)], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said == ["True\n", "False\n"]
