"""What an agent says about its host, read as another one's words."""

from __future__ import annotations

import pytest

from kraken_fleet.model.agent import HostInfo
from kraken_fleet.model.resources import Resources


def test_executors_are_offered_or_there_is_a_reason() -> None:
    info = HostInfo.from_json({"docker": "20.10", "kraken_fleet_not_offered": {"lxd": "no leave"}})
    assert info.executors == {"local": "", "docker": "20.10"}
    assert info.not_offered == {"lxd": "no leave"}


@pytest.mark.parametrize("said", [None, "lxd", ["lxd"], 5])
def test_reasons_of_another_form_are_none(said: object) -> None:
    assert HostInfo.from_json({"kraken_fleet_not_offered": said}).not_offered == {}


def test_a_reason_is_text_that_prints_and_has_an_end() -> None:
    said = {"lxd": "red \x1b[31m" + "x" * 999, "docker": 7}
    reasons = HostInfo.from_json({"kraken_fleet_not_offered": said}).not_offered
    assert "\x1b" not in reasons["lxd"]
    assert len(reasons["lxd"]) == 200
    assert reasons["docker"] == "7"


@pytest.mark.parametrize(
    ("said", "read"), [("0.1.0", "0.1.0"), ("1\x1b[2J" + "9" * 99, "1[2J" + "9" * 36), (7, ""), (None, ""), ({}, "")]
)
def test_a_release_is_a_short_word_that_prints(said: object, read: str) -> None:
    assert HostInfo.from_json({"kraken_fleet_version": said}).agent_version == read


def test_what_a_host_has_is_told_in_numbers() -> None:
    said = {"cpus": 4, "memory": 8 << 30, "disk": 1000, "disk_free": 250}
    found = HostInfo.from_json({"kraken_fleet_host": said}).resources
    assert found == Resources(cpus=4, memory=8 << 30, disk=1000, disk_free=250)
    assert found.disk_used == 0.75


@pytest.mark.parametrize("said", [None, 7, [], {"cpus": "4", "memory": -1, "disk": True, "disk_free": 1e9}])
def test_what_is_no_number_of_a_host_was_not_said(said: object) -> None:
    found = HostInfo.from_json({"kraken_fleet_host": said}).resources
    assert found == Resources()
    assert found.disk_used is None


def test_no_disk_has_more_free_than_it_has() -> None:
    found = HostInfo.from_json({"kraken_fleet_host": {"disk": 10, "disk_free": 20}}).resources
    assert (found.disk_free, found.disk_used) == (10, 0.0)


@pytest.mark.parametrize(
    ("said", "read"), [(0, 0), (-95, -95), (True, None), ("9", None), (1.5, None), (None, None), (1 << 50, None)]
)
def test_the_difference_of_clocks_is_a_whole_number_of_seconds(said: object, read: int | None) -> None:
    assert HostInfo.from_json({"kraken_fleet_clock_ahead": said}).clock_ahead == read
