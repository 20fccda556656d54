"""A job has left links in /opt/kraken, and root runs `kkagent install` over it: what does root read and write?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kraken_agent import root_files

SECRET = b"content-that-only-root-may-read"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


def test_read_a_file_of_roots_into_kraken_env(tmp_path: Path, victim: Path) -> None:
    for name in ("link", "second-name"):
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / name).symlink_to(victim) if name == "link" else (tmp_path / name).hardlink_to(victim)
        assert root_files.read(str(tmp_path / name)) is None
    os.mkfifo(tmp_path / "pipe")
    assert root_files.read(str(tmp_path / "pipe")) is None
    assert root_files.read(str(tmp_path)) is None


def test_write_into_a_file_of_roots(tmp_path: Path, victim: Path) -> None:
    path = tmp_path / "kraken.env"
    path.symlink_to(victim)
    (tmp_path / "kraken.env.new").symlink_to(victim)
    root_files.write(str(path), b"A=b\n", 0o640, os.getuid(), os.getgid())
    assert victim.read_bytes() == SECRET
    assert path.read_bytes() == b"A=b\n"
    assert root_files.has(str(path), 0o640, os.getuid(), os.getgid())


def test_get_a_directory_of_roots_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir(mode=0o755)
    (tmp_path / "data").symlink_to(tmp_path / "etc")
    with pytest.raises(OSError, match="data"):
        root_files.directory(str(tmp_path / "data"), 0o777, os.getuid(), os.getgid())
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o755
    assert root_files.directory(str(tmp_path / "a" / "b"), 0o750, os.getuid(), os.getgid())
    assert not root_files.directory(str(tmp_path / "a" / "b"), 0o750, os.getuid(), os.getgid())
