"""Hosts that are directories of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kraken_fleet.lab.local import LocalDriver


@pytest.mark.parametrize("name", ["My Project", "50%", "Größe"])
def test_hosts_of_a_lab_in_an_odd_directory_live_where_an_agent_may(tmp_path: Path, name: str) -> None:
    lab = tmp_path / name
    lab.mkdir()
    (host,) = LocalDriver().create(lab, ["build-1"])
    directory = Path(str(host.variables["kraken_agent_dir"])).parent
    assert directory.is_dir()
    assert not directory.is_relative_to(lab)
    LocalDriver().destroy(lab)
    assert not directory.parent.exists()


def test_hosts_are_in_the_labs_directory_where_that_is_possible(tmp_path: Path) -> None:
    (host,) = LocalDriver().create(tmp_path, ["build-1"])
    assert host.variables["kraken_agent_dir"] == str(tmp_path / "hosts" / "build-1" / "kraken")
    LocalDriver().destroy(tmp_path)
    assert (tmp_path / "hosts").is_dir()
