"""How the files of a release are made; `make release` itself makes them twice and compares."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from kraken_fleet import __version__
from tests.script_module import load_script

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    return load_script("release/build.py")


@pytest.fixture
def checkout(release: ModuleType, tmp_path: Path) -> Path:
    """The files that a release changes."""
    for name in (*release.PLACES, "CHANGELOG.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_the_version_is_written_into_all_places_and_the_changelog(release: ModuleType, checkout: Path) -> None:
    release.write_version(checkout, release.Release("7.8.9rc1", "2031-02-03", 0, checkout))
    assert release.version_now(checkout) == "7.8.9rc1"
    text = (checkout / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n\n## [7.8.9rc1] - 2031-02-03\n\n### " in text


def test_places_that_disagree_are_named(release: ModuleType, checkout: Path) -> None:
    (checkout / "galaxy.yml").write_text("version: 0.0.9\n")
    with pytest.raises(release.ReleaseError, match=rf"pyproject.toml: {__version__}.*galaxy.yml: 0.0.9"):
        release.version_now(checkout)


def test_nothing_to_release_is_refused(release: ModuleType, checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [0.0.1] - 2020-01-01\n\n- x\n")
    with pytest.raises(release.ReleaseError, match=r"nothing under ## \[Unreleased\]"):
        release.write_version(checkout, release.Release("1.0.0", "2031-02-03", 0, checkout))


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0.0-beta", "1.0.0 "])
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
