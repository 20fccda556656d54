"""A file is written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kraken_fleet import whole_file


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    whole_file.write(path, "Straße\n")
    assert path.read_bytes() == "Straße\n".encode()
    whole_file.write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            whole_file.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        whole_file.write(tmp_path / "none" / "file", "text")


def test_the_umask_counts_unless_others_have_to_read_it(tmp_path: Path, strict_umask: None) -> None:
    whole_file.write(tmp_path / "usual", "text")
    whole_file.write(tmp_path / "for-others", "text", 0o644, any_umask=True)
    assert (_mode(tmp_path / "usual"), _mode(tmp_path / "for-others")) == (0o600, 0o644)


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    whole_file.write(path, "secret", whole_file.OWNER_ONLY)
    assert _mode(path) == 0o600


def test_writers_at_once_each_write_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = [str(number) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: whole_file.write(path, text), texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]
