"""A backup of a server that runs, and the server that is made from it."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from kraken_fleet.errors import BackupError, DataDirectoryError
from kraken_fleet.server import ServerSettings
from kraken_fleet.server.backup import back_up, restore
from kraken_fleet.server.core import Core
from kraken_fleet.server.store.database import UNFINISHED_RESTORE
from kraken_fleet.server.store.tables import SCHEMA_VERSION, AgentsGroup
from kraken_fleet.server.testing import running
from tests.unit.server.conftest import Api, HandAgent, job_spec, shell
from tests.unit.server.routes.test_tools import packed, upload
from tests.unit.server.store.test_logs import lines, record, send
from tests.waiting import eventually


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a server that has run, with an uploaded tool and what a console keeps."""
    Core.open(ServerSettings(tmp_path / "data"), lambda _password: None).close()
    for name in (
        "tools/0a.zip",
        "tools/.upload-x",
        "console/history.jsonl",
        "bundles/kkagent",
        "bundles/nssm-2.24.zip",
    ):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(f"content of {name}")
    return tmp_path / "data"


@pytest.fixture
def archive(data: Path, tmp_path: Path) -> Path:
    back_up(data, tmp_path / "backup.tar.gz")
    return tmp_path / "backup.tar.gz"


def _answers(api: Api, job: int) -> dict[str, Any]:
    paths = (
        "/agents",
        "/groups",
        "/tools?limit=100",
        "/projects",
        f"/jobs/{job}",
        f"/jobs/{job}/logs?start=0&limit=100",
    )
    answers = {path: api.get(path) for path in paths}
    for agent in answers["/agents"]["items"]:
        del agent["last_seen"]  # which the server writes now and then
    return answers


def test_a_restored_server_answers_as_the_first_one_did(tmp_path: Path) -> None:
    with running(tmp_path / "one") as first:
        api, ended = Api(first), Api(first)
        agent = HandAgent(api).enrol(api.group("linux"))
        HandAgent(api).say("get-job")  # one that waits to be authorized
        job = api.start([job_spec(shell("echo one"), group="linux")])[0]["id"]
        agent.work()
        send(api, record(job, "one line of the job"))
        assert [line["message"] for line in eventually(lambda: lines(api, job))] == ["one line of the job"]
        code = packed()
        location = upload(api, code).json()["location"]
        assert ended.call("DELETE", f"/api/sessions/{ended.token}").status_code < 300
        before = _answers(api, job)
        back_up(tmp_path / "one", tmp_path / "backup")
        api.group("made-later")
    restore(tmp_path / "backup", tmp_path / "two")
    with running(tmp_path / "two") as second:
        assert second.password == "", "it is not a first start"
        again = Api(second, password=first.password)
        again.http.headers["Authorization"] = f"Bearer {api.token}"
        assert _answers(again, job) == before
        assert again.call("GET", location).content == code
        next_job = again.start([job_spec(shell("echo two"), group="linux")])
        assert [step["cmd"] for step in HandAgent(again, agent.address).work()] == ["echo two"], next_job
        again.http.headers["Authorization"] = f"Bearer {ended.token}"
        assert again.call("GET", "/api/agents").status_code == 401


@pytest.fixture
def pairs_written(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose server makes two groups in each transaction, all the time."""
    core = Core.open(ServerSettings(tmp_path / "busy"), lambda _password: None)
    stop, some = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            with core.db.write() as session:
                session.add(AgentsGroup(name=f"left-{number}"))
                session.flush()
                session.add(AgentsGroup(name=f"right-{number}"))
            number += 1
            some.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert some.wait(20)
    yield tmp_path / "busy"
    stop.set()
    writer.join()
    core.close()


def test_a_backup_has_whole_transactions_of_a_server_that_writes(pairs_written: Path, tmp_path: Path) -> None:
    for number in range(5):
        back_up(pairs_written, tmp_path / f"backup-{number}")
        restore(tmp_path / f"backup-{number}", tmp_path / f"restored-{number}")
        core = Core.open(ServerSettings(tmp_path / f"restored-{number}"), lambda _password: None)
        with core.db.read() as session:
            counts = [
                session.scalar(select(func.count()).where(AgentsGroup.name.startswith(side)))
                for side in ("left-", "right-")
            ]
        core.close()
        assert counts[0] == counts[1] != 0


def test_a_backup_has_the_files_that_a_server_needs(data: Path, archive: Path, tmp_path: Path) -> None:
    restored = restore(archive, tmp_path / "new")
    assert sorted(restored.manifest.files) == [
        "bundles/nssm-2.24.zip",
        "console/history.jsonl",
        "server.sqlite",
        "tools/0a.zip",
    ]
    assert restored.before is None
    for name in ("bundles/nssm-2.24.zip", "console/history.jsonl", "tools/0a.zip"):
        assert (tmp_path / "new" / name).read_text() == f"content of {name}"
    found = {path: path.stat().st_mode for path in tmp_path.glob("new/**/*")}
    assert {stat.S_IMODE(mode) for mode in found.values() if stat.S_ISREG(mode)} == {0o600}
    assert {stat.S_IMODE(mode) for mode in found.values() if stat.S_ISDIR(mode)} == {0o700}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "bundles",
        "console",
        "lock",
        "server.sqlite",
        "tools",
    ]
    assert (data / "tools" / ".upload-x").exists(), "the data directory is as it was"


def test_only_the_owner_can_read_a_backup(data: Path, tmp_path: Path) -> None:
    earlier = os.umask(0)
    try:
        back_up(data, tmp_path / "backup")
    finally:
        os.umask(earlier)
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600


def test_a_file_that_is_there_is_replaced_only_with_force(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").write_text("another")
    with pytest.raises(BackupError, match="is there already"):
        back_up(data, tmp_path / "backup")
    assert (tmp_path / "backup").read_text() == "another"
    back_up(data, tmp_path / "backup", force=True)
    restore(tmp_path / "backup", tmp_path / "new")


def _damage(data: Path) -> None:
    (data / "server.sqlite").write_bytes(b"not a database, but long enough to look like one" * 50)


def _make_newer(data: Path) -> None:
    with closing(sqlite3.connect(data / "server.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def _make_pipe(data: Path) -> None:
    os.mkfifo(data / "console" / "pipe")


def _make_link(data: Path) -> None:
    (data / "tools" / "link").symlink_to("/etc/passwd")


def _make_linked_directory(data: Path) -> None:
    (data / "console" / "link").symlink_to("/etc")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_damage, "not a database"),
        (_make_newer, f"has version {SCHEMA_VERSION + 1}"),
        (lambda data: (data / "server.sqlite").unlink(), "no database of a server"),
        (_make_pipe, "not a file"),
        (_make_link, "is a link"),
        (_make_linked_directory, "is a link"),
        (lambda data: (data / UNFINISHED_RESTORE).touch(), "restore of a backup was interrupted"),
    ],
)
def test_a_backup_that_cannot_be_whole_is_not_made(data: Path, tmp_path: Path, harm: Any, words: str) -> None:
    harm(data)
    (tmp_path / "backup").write_text("yesterday's")
    with pytest.raises((BackupError, DataDirectoryError), match=words):
        back_up(data, tmp_path / "backup", force=True)
    assert (tmp_path / "backup").read_text() == "yesterday's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def test_a_directory_that_is_not_there_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be made: No such file or directory") as caught:
        back_up(data, tmp_path / "none" / "backup")
    assert str(tmp_path / "none") in str(caught.value)
    with pytest.raises(BackupError, match="no such file"):
        restore(tmp_path / "none", tmp_path / "new")


def test_a_directory_of_a_running_server_is_left_alone(archive: Path, tmp_path: Path) -> None:
    with running(tmp_path / "used") as server:
        with pytest.raises(DataDirectoryError, match="Another server uses this directory"):
            restore(archive, tmp_path / "used", force=True)
        assert Api(server).get("/groups")["total"] == 1


def test_old_data_are_kept_beside_the_restored_ones(archive: Path, data: Path, tmp_path: Path) -> None:
    (data / "server.sqlite-wal").write_text("of a server that was killed")
    with pytest.raises(BackupError, match="is not empty"):
        restore(archive, data)
    assert (data / "server.sqlite-wal").exists()
    restored = restore(archive, data, force=True)
    assert restored.before
    assert restored.before.parent == tmp_path
    assert stat.S_IMODE(restored.before.stat().st_mode) == 0o700
    assert (restored.before / "server.sqlite-wal").read_text() == "of a server that was killed"
    assert (restored.before / "bundles" / "kkagent").exists()
    assert not (data / "server.sqlite-wal").exists()
    Core.open(ServerSettings(data), lambda _password: None).close()


def test_old_data_that_cannot_be_kept_stay_where_they_are(archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 250)  # no longer name is possible beside it
    directory.mkdir()
    (directory / "old").write_text("old")
    with pytest.raises(BackupError, match="cannot be kept beside"):
        restore(archive, directory, force=True)
    assert sorted(path.name for path in directory.iterdir()) == ["lock", "old"]


def test_a_server_does_not_start_in_a_half_restored_directory(
    archive: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_path: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(archive, data, force=True)
    assert (data / UNFINISHED_RESTORE).exists()
    with pytest.raises(DataDirectoryError, match="interrupted"):
        Core.open(ServerSettings(data), lambda _password: None)
    assert not (data / "server.sqlite").exists(), "it has not begun afresh"
    restore(archive, data, force=True)
    assert not (data / UNFINISHED_RESTORE).exists()
    Core.open(ServerSettings(data), lambda _password: None).close()


def test_a_socket_beside_the_database_is_no_matter(data: Path, tmp_path: Path) -> None:
    """Only what a server needs is looked at."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(data / "mine"))
        back_up(data, tmp_path / "backup")
