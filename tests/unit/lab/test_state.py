"""A lab's state file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.errors import LabError
from kraken_fleet.lab.driver import LabHost, load_driver
from kraken_fleet.lab.state import LabState, existing_labs, forget, held, lab_paths
from kraken_fleet.processes import ProcessRef


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    paths = lab_paths(tmp_path, "demo")
    paths.directory.mkdir(parents=True)
    hosts = (LabHost("build-1", "127.0.0.11", {"ansible_connection": "local"}),)
    state = LabState("demo", "local", hosts, "http://127.0.0.1:1234", ProcessRef(12, 345))
    state.save(paths)
    assert LabState.load(paths) == state
    assert existing_labs(tmp_path) == ("demo",)


def test_a_lab_that_never_was_has_no_memory(tmp_path: Path) -> None:
    assert LabState.load(lab_paths(tmp_path, "demo")) is None
    assert existing_labs(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"server": {"pid": 1}}', "\x00"])
def test_a_damaged_memory_is_one_clear_error_with_the_way_out(tmp_path: Path, text: str) -> None:
    paths = lab_paths(tmp_path, "demo")
    paths.directory.mkdir(parents=True)
    paths.memory.write_text(text)
    with pytest.raises(LabError, match=r"lab\.json: The lab's state file is damaged.*lab down"):
        LabState.load(paths)


@pytest.mark.parametrize("name", ["", "..", "a/b", "Demo", "-x", "x" * 32, "a b", "é"])
def test_a_name_that_could_leave_the_labs_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="cannot be the name of a lab"):
        lab_paths(tmp_path, name)


def test_two_commands_never_change_one_lab_at_once(tmp_path: Path) -> None:
    paths = lab_paths(tmp_path, "demo")
    with held(paths), pytest.raises(LabError, match="Another command is changing this lab"), held(paths):
        pass
    with held(paths):
        assert paths.directory.stat().st_mode & 0o777 == 0o700


def test_forgetting_leaves_the_other_labs_and_no_empty_directory(tmp_path: Path) -> None:
    one, two = lab_paths(tmp_path, "one"), lab_paths(tmp_path, "two")
    for paths in (one, two):
        paths.directory.mkdir(parents=True)
        (paths.directory / "file").write_text("")
    forget(one)
    assert existing_labs(tmp_path) == ("two",)
    forget(two)
    forget(two)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_driver_is_refused_with_those_there_are() -> None:
    with pytest.raises(LabError, match=r"no lab driver 'cloud'.*local"):
        load_driver("cloud")
