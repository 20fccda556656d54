"""Backups that somebody or something has changed: refused, and nothing is written outside or instead."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kraken_fleet.errors import BackupError, DataDirectoryError
from kraken_fleet.server import ServerSettings
from kraken_fleet.server.backup import back_up, restore
from kraken_fleet.server.core import Core
from kraken_fleet.server.store.tables import SCHEMA_VERSION

Members = list[tuple[tarfile.TarInfo, bytes]]
Bytes = Callable[[bytes], bytes]
Manifest = dict[str, Any]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    data = tmp_path / "first"
    Core.open(ServerSettings(data), lambda _password: None).close()
    (data / "tools").mkdir()
    (data / "tools" / "a.zip").write_bytes(b"tool" * 10_000)
    back_up(data, tmp_path / "backup")
    return tmp_path / "backup"


def _refused(archive: Path, tmp_path: Path, words: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises((BackupError, DataDirectoryError), match=words) as caught:
        restore(archive, target, force=True)
    assert str(archive) in str(caught.value)
    assert sorted(path.name for path in target.iterdir()) == ["lock", "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "first", "target"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "does not begin with a manifest|empty"),
        (lambda data: b"something else", "damaged"),
        (lambda data: data[:200], "damaged"),
        (lambda data: data[:-2000], "damaged"),
        (lambda data: data[:-6] + bytes(6), "damaged"),
        (lambda data: data + b"more", "damaged"),
        (lambda data: data[:1500] + bytes([data[1500] ^ 16]) + data[1501:], "damaged"),
        (lambda data: gzip.compress(b"no tar file at all" * 1000), "damaged"),
        (lambda data: gzip.compress(gzip.decompress(data)[:60_000]), "damaged"),
    ],
    ids=["empty", "other", "begin", "end cut off", "checksum", "longer", "one bit", "no tar", "tar cut off"],
)
def test_an_archive_that_is_not_whole_is_refused(archive: Path, tmp_path: Path, change: Bytes, words: str) -> None:
    archive.write_bytes(change(archive.read_bytes()))
    _refused(archive, tmp_path, words)


def _repack(archive: Path, change: Callable[[Members], object]) -> None:
    members: Members = []
    with tarfile.open(archive) as tar:
        for member in tar:
            source = tar.extractfile(member)
            members.append((member, source.read() if source else b""))
    change(members)
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _with_manifest(change: Callable[[Manifest], object]) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        manifest = json.loads(members[0][1])
        change(manifest)
        members[0] = (members[0][0], json.dumps(manifest).encode())

    return apply


def _listed(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[Members], None]:
    """Add a member that the manifest names too, with the right checksum."""

    def apply(members: Members) -> None:
        content = b"evil" if kind == tarfile.REGTYPE else b""
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        members.append((member, content))
        entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _with_manifest(lambda manifest: manifest["files"].update({name: entry}))(members)

    return apply


def _unlisted(name: str) -> Callable[[Members], None]:
    return lambda members: members.append((tarfile.TarInfo(name), b"evil"))


def _other_content(members: Members) -> None:
    member, content = members[-1]
    members[-1] = (member, content.replace(b"tool", b"loot", 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_listed("../evil"), "not a server's"),
        (_listed("tools/../../evil"), "not a server's"),
        (_listed("/tmp/evil"), "not a server's"),
        (_listed("tools//evil"), "not a server's"),
        (_listed("tools"), "not a server's"),
        (_listed("lock"), "not a server's"),
        (_listed("server.sqlite-wal"), "not a server's"),
        (_listed("restore.unfinished"), "not a server's"),
        (_listed("tools/link", tarfile.SYMTYPE, "/etc"), "not a file of the manifest"),
        (_listed("tools/link", tarfile.LNKTYPE, "/etc/passwd"), "not a file of the manifest"),
        (_listed("tools/device", tarfile.CHRTYPE), "not a file of the manifest"),
        (_unlisted("../evil"), "not a file of the manifest"),
        (_unlisted("tools/evil"), "not a file of the manifest"),
        (lambda members: members.append(members[-1]), "there twice"),
        (lambda members: members.pop(), "tools/a.zip is missing"),
        (lambda members: members.pop(0), "does not begin with a manifest"),
        (lambda members: members.append(members.pop(0)), "does not begin with a manifest"),
        (_other_content, "not what was backed up"),
    ],
)
def test_members_that_no_backup_has_are_refused(
    archive: Path, tmp_path: Path, change: Callable[[Members], object], words: str
) -> None:
    _repack(archive, change)
    _refused(archive, tmp_path, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda manifest: manifest.update(format=2), "has format 2"),
        (lambda manifest: manifest.update(database_version=SCHEMA_VERSION + 1), "knows versions 2 to"),
        (lambda manifest: manifest.update(database_version=1), "has version 1"),
        (lambda manifest: manifest.update(database_version=2), "its database has version"),
        (lambda manifest: manifest.update(database_version="many"), "manifest cannot be used"),
        (lambda manifest: manifest.update(files=[1]), "manifest cannot be used"),
        (lambda manifest: manifest.update(files={"tools/a.zip": 1}), "manifest cannot be used"),
        (lambda manifest: manifest["files"].pop("server.sqlite"), "has no database"),
        (lambda manifest: manifest["files"]["tools/a.zip"].update(size=-1), "size or the checksum"),
        (lambda manifest: manifest["files"]["tools/a.zip"].update(size=1), "not what was backed up"),
        (lambda manifest: manifest["files"]["tools/a.zip"].update(sha256="0" * 64), "not what was backed up"),
        (lambda manifest: manifest.clear(), "manifest cannot be used"),
    ],
)
def test_a_manifest_of_no_use_is_refused(
    archive: Path, tmp_path: Path, change: Callable[[Manifest], object], words: str
) -> None:
    _repack(archive, _with_manifest(change))
    _refused(archive, tmp_path, words)


@pytest.mark.parametrize("content", [b"", b"[]", b"not JSON", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_not_one_is_refused(archive: Path, tmp_path: Path, content: bytes) -> None:
    def change(members: Members) -> None:
        members[0] = (members[0][0], content)

    _repack(archive, change)
    _refused(archive, tmp_path, "manifest cannot be used")


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 99", "PRAGMA application_id = 1"])
def test_a_database_that_is_not_a_servers_is_refused(archive: Path, tmp_path: Path, statement: str) -> None:
    def change(members: Members) -> None:
        number = next(index for index, (member, _content) in enumerate(members) if member.name == "server.sqlite")
        other = tmp_path / "first" / "other.sqlite"
        other.write_bytes(members[number][1])
        with closing(sqlite3.connect(other)) as database:
            database.execute(statement)
        content = other.read_bytes()
        members[number] = (members[number][0], content)
        entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _with_manifest(lambda manifest: manifest["files"].update({"server.sqlite": entry}))(members)

    _repack(archive, change)
    _refused(archive, tmp_path, "version 99|another program's")
