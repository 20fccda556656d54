"""The tool cache against a real S3 server."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from kraken_agent.tools import cache

from tests.s3_server import S3Server


@pytest.fixture
def step(s3: S3Server, bucket: str, store_kind: str) -> dict[str, Any]:
    return {"tool": "cache", "job_id": 12, **s3.step_fields(bucket)}


def save(step: dict[str, Any], key: str, paths: list[str], job: int = 12) -> tuple[int, str]:
    return cache.run({**step, "action": "save", "job_id": job, "paths": paths, "minio_folder": {key: f"1-j/{key}"}})


def restore(step: dict[str, Any], *keys: str) -> tuple[int, str]:
    return cache.run({**step, "action": "restore", "minio_folders": {key: f"1-j/{key}" for key in keys}})


def fill(directory: Path, text: str) -> None:
    (directory / "deep").mkdir(parents=True, exist_ok=True)
    (directory / "empty").mkdir(exist_ok=True)
    (directory / "deep/file").write_text(text)
    link = directory / "link"
    if not link.is_symlink():
        link.symlink_to("deep/file")


def test_what_was_saved_comes_back_with_links_and_empty_directories(step: dict[str, Any], job_dir: Path) -> None:
    fill(job_dir / "modules", "one")
    assert save(step, "k", ["modules"]) == (0, "")
    shutil.rmtree(job_dir / "modules")
    assert restore(step, "k") == (0, "")
    assert (job_dir / "modules/deep/file").read_text() == "one"
    assert (job_dir / "modules/link").is_symlink()
    assert (job_dir / "modules/empty").is_dir()


def test_the_objects_are_named_as_upstream_names_them(s3: S3Server, step: dict[str, Any], job_dir: Path) -> None:
    fill(job_dir / "a/b", "x")
    save(step, "k", ["a/b"])
    names = [entry.name for entry in s3.client().list_objects(step["minio_bucket"], "")]
    assert names == ["1-j/k/12/a_b.tar.gz", "1-j/k/12/meta.json"]
    s3.client().get_file(step["minio_bucket"], names[1], job_dir / "meta")
    assert json.loads((job_dir / "meta").read_text()) == {"a_b.tar.gz": "a/b"}


def test_absolute_paths_variables_and_home_come_back_where_they_were(
    step: dict[str, Any], job_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NAME", "store")
    fill(tmp_path / "store", "x")
    assert save(step, "k", ["~/$NAME"]) == (0, "")
    shutil.rmtree(tmp_path / "store")
    restore(step, "k")
    assert (tmp_path / "store/deep/file").read_text() == "x"


def test_the_latest_complete_job_is_restored(s3: S3Server, step: dict[str, Any], job_dir: Path) -> None:
    for job, text in ((9, "old"), (10, "new")):
        fill(job_dir / "m", text)
        save(step, "k", ["m"], job=job)
    (job_dir / "half").write_text("half")
    s3.client().put_file(step["minio_bucket"], "1-j/k/11/m.tar.gz", job_dir / "half")
    shutil.rmtree(job_dir / "m")
    restore(step, "k")
    assert (job_dir / "m/deep/file").read_text() == "new"


def test_every_key_is_restored_and_the_first_one_wins(step: dict[str, Any], job_dir: Path) -> None:
    fill(job_dir / "m", "fallback")
    fill(job_dir / "other", "only there")
    save(step, "fallback", ["m", "other"])
    fill(job_dir / "m", "exact")
    save(step, "exact", ["m"])
    for name in ("m", "other"):
        shutil.rmtree(job_dir / name)
    restore(step, "exact", "missing", "fallback")
    assert (job_dir / "m/deep/file").read_text() == "exact"
    assert (job_dir / "other/deep/file").read_text() == "only there"


def test_a_key_that_nobody_saved_is_no_error(
    step: dict[str, Any], job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restore(step, "never") == (0, "")
    assert "nothing is cached under 'never'" in capsys.readouterr().out


def test_a_path_that_is_not_there_cannot_be_saved(step: dict[str, Any], job_dir: Path) -> None:
    code, message = save(step, "k", ["nowhere"])
    assert code == 1
    assert "'nowhere' does not exist" in message


@pytest.mark.parametrize("name", ["../evil", "m/../../evil", "other/evil", "/evil"])
def test_an_archive_cannot_write_outside_its_path(
    s3: S3Server, step: dict[str, Any], job_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(s3, step, job_dir, [(name, None)])
    assert restore(step, "k") == (0, "")
    assert "leads out" in capsys.readouterr().out
    assert not (job_dir.parent / "evil").exists()
    assert not (job_dir / "other").exists()
    assert not (job_dir / "m").exists()


def test_an_archive_cannot_write_through_its_own_link(
    s3: S3Server, step: dict[str, Any], job_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "victim").mkdir()
    plant(s3, step, job_dir, [("m/way", str(tmp_path / "victim")), ("m/way/evil", None)])
    restore(step, "k")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_damaged_archive_leaves_what_was_there(
    s3: S3Server, step: dict[str, Any], job_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(job_dir / "m", "mine")
    save(step, "k", ["m"])
    (job_dir / "junk").write_text("junk")
    s3.client().put_file(step["minio_bucket"], "1-j/k/12/m.tar.gz", job_dir / "junk")
    assert restore(step, "k") == (0, "")
    assert (job_dir / "m/deep/file").read_text() == "mine"
    assert "could not be restored" in capsys.readouterr().out


def plant(s3: S3Server, step: dict[str, Any], job_dir: Path, members: list[tuple[str, str | None]]) -> None:
    """Put an archive into the store that no agent would make: files, and links to the given targets."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, link in members:
            member = tarfile.TarInfo(name)
            if link:
                member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
    for name, content in (("m.tar.gz", data.getvalue()), ("meta.json", b'{"m.tar.gz": "m"}')):
        (job_dir / "planted").write_bytes(content)
        s3.client().put_file(step["minio_bucket"], f"1-j/k/3/{name}", job_dir / "planted")
