"""Files on a host: planned without touching it, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host import files
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.changes import HostError, apply_all
from ansible_collections.kraken_ci.fleet.plugins.module_utils.host.files import Attributes

MODE = Attributes(0o640)


def test_planning_touches_nothing_and_a_second_plan_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    plan = [*files.directory(str(path), Attributes(0o750)), *files.text_file(str(path / "c"), "x\n", MODE)]
    assert not path.exists()
    assert [change.what for change in plan] == [f"make directory {path}", f"write {path}/c"]
    apply_all(plan)
    assert (path / "c").read_text() == "x\n"
    assert (path / "c").stat().st_mode & 0o7777 == 0o640
    assert path.stat().st_mode & 0o7777 == 0o750
    assert [*files.directory(str(path), Attributes(0o750)), *files.text_file(str(path / "c"), "x\n", MODE)] == []


def test_a_wrong_mode_is_a_change_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text("x")
    path.chmod(0o666)
    (change,) = files.text_file(str(path), "x", MODE)
    assert change.diff["before"] == "0666\n"
    assert change.diff["after"] == "0640\n"
    apply_all([change])
    assert path.stat().st_mode & 0o7777 == 0o640


def test_a_file_that_does_not_validate_never_gets_into_its_place(tmp_path: Path) -> None:
    path = tmp_path / "sudoers"
    path.write_text("good")

    def refuse(fresh: str) -> None:
        assert Path(fresh).read_text() == "bad"
        raise HostError("visudo says no")

    with pytest.raises(HostError, match="visudo says no"):
        apply_all(files.text_file(str(path), "bad", MODE, validate=refuse))
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_system_names_the_change_and_its_reason(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"Cannot write /.*/missing/file: No such file or directory"):
        apply_all(files.text_file(str(tmp_path / "missing" / "file"), "x", MODE))


def test_a_file_in_the_way_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kraken").write_text("")
    with pytest.raises(HostError, match="is not a directory"):
        list(files.directory(str(tmp_path / "kraken"), MODE))


def test_a_link_in_the_place_of_a_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/etc")
    with pytest.raises(HostError, match="is a link"):
        list(files.directory(str(tmp_path / "data"), MODE))


def test_removing_what_another_change_took_along_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "agent.pid"
    path.write_text("")
    plan = list(files.absent(str(path)))
    path.unlink()
    apply_all(plan)
    assert list(files.absent(str(path))) == []
