"""How the files of a release are made; `make release` itself makes them twice and compares."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kraken_fleet import __version__
from tests.script_module import load_script

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    return load_script("release/build.py")


@pytest.fixture
def checkout(release: ModuleType, tmp_path: Path) -> Path:
    """The files that a release changes, with one line for the changelog."""
    for name in (*release.PLACES, "changelogs/config.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    fragments = tmp_path / "changelogs" / "fragments"
    fragments.mkdir()
    (fragments / "one.yaml").write_text("---\nbugfixes:\n  - agent - It starts ``kktool`` again.\n")
    return tmp_path


def _of(release: ModuleType, version: str, date: str = "2031-02-03") -> Any:
    return release.Release(version, date, 0, ROOT)


def test_the_version_is_written_into_all_places(release: ModuleType, checkout: Path) -> None:
    release.write_version(checkout, _of(release, "7.8.9"))
    assert release.version_now(checkout) == "7.8.9"


def test_fragments_become_the_dated_head_of_the_changelog_and_are_gone(release: ModuleType, checkout: Path) -> None:
    release.write_changelog(checkout, _of(release, "7.8.9"))
    (checkout / "changelogs" / "fragments" / "two.yaml").write_text("---\nminor_changes:\n  - agent - It sleeps.\n")
    release.write_changelog(checkout, _of(release, "7.9.0", "2031-04-05"))
    text = (checkout / "CHANGELOG.rst").read_text()
    newer, _, older = text.partition("\nv7.8.9\n======\n")
    assert "\nv7.9.0\n======\n" in newer
    assert "Released on 2031-04-05." in newer
    assert "- agent - It sleeps." in newer
    assert "Released on 2031-02-03." in older
    assert "- agent - It starts ``kktool`` again." in older
    assert list((checkout / "changelogs" / "fragments").iterdir()) == []


def test_the_same_fragments_make_the_same_changelog(release: ModuleType, checkout: Path, tmp_path: Path) -> None:
    made = []
    for name in ("first", "second"):
        copy = tmp_path / name
        shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns("first", "second"))
        release.write_changelog(copy, _of(release, "7.8.9"))
        made.append([(copy / file).read_bytes() for file in ("CHANGELOG.rst", "changelogs/changelog.yaml")])
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("fragment", "message"),
    [
        ("improvements:\n  - agent - It sleeps.\n", "invalid section: improvements"),
        ("bugfixes: agent - It sleeps.\n", 'section "bugfixes" must be type list not str'),
        ("bugfixes:\n  - agent - It has an ``open end.\n", "Inline literal start-string without end-string"),
    ],
)
def test_a_bad_fragment_stops_a_release(release: ModuleType, checkout: Path, fragment: str, message: str) -> None:
    (checkout / "changelogs" / "fragments" / "bad.yaml").write_text(f"---\n{fragment}")
    with pytest.raises(release.ReleaseError, match=re.escape(message)):
        release.write_changelog(checkout, _of(release, "7.8.9"))
    assert not (checkout / "CHANGELOG.rst").exists()


def test_places_that_disagree_are_named(release: ModuleType, checkout: Path) -> None:
    (checkout / "galaxy.yml").write_text("version: 0.0.9\n")
    with pytest.raises(release.ReleaseError, match=rf"pyproject.toml: {__version__}.*galaxy.yml: 0.0.9"):
        release.version_now(checkout)


def test_nothing_to_release_is_refused(release: ModuleType, checkout: Path) -> None:
    (checkout / "changelogs" / "fragments" / "one.yaml").unlink()
    with pytest.raises(release.ReleaseError, match="has nothing to release"):
        release.write_changelog(checkout, _of(release, "7.8.9"))


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0.0-beta", "1.0.0rc1", "1.0.0 "])
def test_what_is_no_version_is_refused(release: ModuleType, version: str) -> None:
    with pytest.raises(release.ReleaseError, match="is no version like"):
        release.of_checkout(version, ROOT)


def _tarball(names: list[str], time: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = 1, time, f"user-{time}"
            archive.addfile(member, io.BytesIO(b"x"))
    return out.getvalue()


def test_archives_that_differ_in_times_owners_and_order_become_the_same(release: ModuleType) -> None:
    first, second = (release.normalized(_tarball(*one), 1) for one in ((["a", "b"], 5), (["b", "a"], 6)))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        assert archive.getnames() == ["a", "b"]


def test_files_that_are_not_the_same_are_named(release: ModuleType, tmp_path: Path) -> None:
    for folder, files in {
        "first": {"same": "1", "other": "1", "only": "1"},
        "second": {"same": "1", "other": "2"},
    }.items():
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    assert release.differences(tmp_path / "first", tmp_path / "second") == ["only", "other"]


def test_the_checksums_are_signed_and_read_by_the_systems_own_programs(release: ModuleType, tmp_path: Path) -> None:
    key, files = tmp_path / "key", tmp_path / "files"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    files.mkdir()
    (files / "kkagent").write_text("an agent")
    release.write_sums(files)
    release.sign(files, key)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=files, check=True)
    (tmp_path / "allowed").write_text(f"release@example.com {(tmp_path / 'key.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "release@example.com"]
    verified = [*command, "-n", "kraken-fleet-release", "-s", str(files / "SHA256SUMS.sig")]
    sums = (files / "SHA256SUMS").read_bytes()
    assert subprocess.run(verified, input=sums, check=False).returncode == 0
    assert subprocess.run(verified, input=sums + b"x", check=False).returncode != 0
