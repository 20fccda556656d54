"""The agent measures what its host has, and tells the server again when that has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kraken_agent import resources
from kraken_agent.config import Config
from kraken_agent.introduction import Introduction


class _NoEngines:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.not_offered: dict[str, str] = {}


class _Room:
    why_no_jobs = ""


def _introduction(clock_ahead: Callable[[], int | None] = lambda: None) -> Introduction:
    return Introduction(_NoEngines(), _Room(), clock_ahead)  # type: ignore[arg-type] # it asks for no more than that


def test_a_host_has_processors_memory_and_a_disk(tmp_path: Path) -> None:
    found = resources.measure(str(tmp_path), group=str(tmp_path / "none"))
    state = os.statvfs(tmp_path)
    assert found["cpus"] == len(os.sched_getaffinity(0))
    assert found["memory"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found["disk"] == state.f_blocks * state.f_frsize
    assert 0 < found["disk_free"] <= found["disk"]


@pytest.mark.parametrize(("limit", "cpus"), [("150000 100000\n", 2), ("1000 100000\n", 1), ("max 100000\n", None)])
def test_a_containers_limits_count(tmp_path: Path, limit: str, cpus: int | None) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    (tmp_path / "memory.max").write_text("268435456\n")
    found = resources.measure(str(tmp_path), group=str(tmp_path))
    whole = len(os.sched_getaffinity(0))
    assert found["cpus"] == (whole if cpus is None else min(whole, cpus))
    assert found["memory"] == 256 * 1024 * 1024


def test_a_directory_that_is_gone_has_no_disk(tmp_path: Path) -> None:
    found = resources.measure(str(tmp_path / "gone"), group=str(tmp_path))
    assert found.keys() == {"cpus", "memory"}
    assert resources.disk_space(str(tmp_path / "gone")) is None


@pytest.mark.parametrize(("free", "is_news"), [(500, False), (460, False), (449, True), (551, True)])
def test_free_space_is_told_again_when_it_has_changed_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_news: bool
) -> None:
    config = Config({"server": "http://127.0.0.1:1", "data_dir": str(tmp_path)}, {})
    introduction = _introduction()
    monkeypatch.setattr(resources, "measure", lambda _: {"disk": 1000, "disk_free": 500})
    assert introduction.make(config)["kraken_fleet_host"] == {"disk": 1000, "disk_free": 500}
    monkeypatch.setattr(resources, "disk_space", lambda _: resources.Space(1000, free))
    assert introduction.has_news(config) is is_news


@pytest.mark.parametrize(("ahead", "is_news"), [(None, False), (40, False), (49, False), (51, True), (0, True)])
def test_the_clock_is_told_again_when_its_difference_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int | None, is_news: bool
) -> None:
    config = Config({"server": "http://127.0.0.1:1", "data_dir": str(tmp_path)}, {})
    now: list[int | None] = [40]
    introduction = _introduction(lambda: now[0])
    assert introduction.make(config)["kraken_fleet_clock_ahead"] == 40
    now[0] = ahead
    assert not introduction.has_news(config), "a clock that jumps is told of only every five minutes"
    later = time.monotonic() + 301
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert introduction.has_news(config) is (is_news or ahead is None)


def test_a_clock_that_is_not_known_yet_is_not_told(tmp_path: Path) -> None:
    config = Config({"server": "http://127.0.0.1:1", "data_dir": str(tmp_path)}, {})
    now: list[int | None] = [None]
    introduction = _introduction(lambda: now[0])
    assert "kraken_fleet_clock_ahead" not in introduction.make(config)
    now[0] = 3
    assert not introduction.has_news(config)
    now[0] = 95
    assert introduction.has_news(config)
