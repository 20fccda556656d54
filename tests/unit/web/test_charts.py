"""Areas over time, and the samples they are drawn from."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from kraken_fleet import whole_file
from kraken_fleet.web.cache import Snapshot
from kraken_fleet.web.charts import HEIGHT, WIDTH, stack
from kraken_fleet.web.history import SAMPLES, History, sample_of
from tests.unit.web.model_builders import NOW, an_agent


def test_areas_lie_on_top_of_each_other() -> None:
    chart = stack([(0, {"idle": 2, "busy": 0}), (60, {"idle": 1, "busy": 3})], ["idle", "busy", "silent"])
    assert chart is not None
    assert chart.highest == 4
    assert [(area.name, area.latest) for area in chart.areas] == [("idle", 1), ("busy", 3)]
    idle, busy = chart.areas
    assert idle.points.split()[:2] == [f"0.0,{HEIGHT / 2}", f"{float(WIDTH)},{HEIGHT * 3 / 4}"]
    assert busy.points.split()[1] == f"{float(WIDTH)},0.0"


def test_one_sample_is_no_line() -> None:
    assert stack([(0, {"idle": 2})], ["idle"]) is None


def test_a_sample_a_minute_is_kept_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    snapshot = Snapshot(1, NOW, (an_agent(1, groups=("all", "gpu"), job=5),))
    history = History(path)
    for seconds in (0, 1, 59, 60, 125):
        history.record(replace(snapshot, taken=NOW + timedelta(seconds=seconds)))
    minutes = [sample.minute - int(NOW.timestamp()) for sample in History(path).samples()]
    assert minutes == [0, 60, 120]


def test_a_damaged_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"minute": 60, "states": {}, "jobs": {}}\nhalf a li')
    assert [sample.minute for sample in History(path).samples()] == [60]


def _record(history: History, minutes: Iterable[int]) -> None:
    for minute in minutes:
        history.record(Snapshot(1, NOW + timedelta(minutes=minute)))


def test_the_file_is_cut_whenever_the_samples_fall(tmp_path: Path) -> None:
    path, history = tmp_path / "history.jsonl", History(tmp_path / "history.jsonl")
    # NOW is a full hour: none of these minutes is the first of a day.
    _record(history, range(1, 10 * SAMPLES, 2))
    assert SAMPLES <= len(path.read_text().splitlines()) <= 2 * SAMPLES
    assert History(path).samples() == history.samples()
    assert len(history.samples()) == SAMPLES


def test_a_file_that_has_grown_is_cut_with_the_next_sample(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"minute": 60, "states": {}, "jobs": {}}\n' * 10 * SAMPLES)
    _record(History(path), [0])
    assert len(path.read_text().splitlines()) == SAMPLES


def test_a_full_disk_costs_the_file_and_not_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    _record(history, [0])
    with monkeypatch.context() as disk:
        disk.setattr(Path, "open", _full)
        disk.setattr(whole_file, "write", _full)
        _record(history, [1, 2])
        assert len(history.samples()) == 3
        # Where the disk was full in the middle of a line.
        os.truncate(path, path.stat().st_size - 5)
    _record(history, [3])
    assert len(history.samples()) == 4
    assert History(path).samples() == history.samples()


def test_a_history_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").mkdir()
    history = History(tmp_path / "history.jsonl")
    _record(history, [0, 1])
    assert len(history.samples()) == 2
    (tmp_path / "damaged.jsonl").write_bytes(b'\xff\n{"minute": 60, "states": {}, "jobs": {}}\n')
    assert [sample.minute for sample in History(tmp_path / "damaged.jsonl").samples()] == [60]


def _full(*_arguments: object, **_options: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_jobs_are_counted_by_group() -> None:
    agents = (an_agent(1, groups=("all", "gpu"), job=5), an_agent(2, groups=("all",)))
    sample = sample_of(Snapshot(1, NOW, agents, counts={"busy": 1, "idle": 1}), 0)
    assert sample.jobs == {"all": 1, "gpu": 1}
    assert sample.states == {"busy": 1, "idle": 1}


def test_the_axes_have_round_values_and_the_moments_of_the_samples() -> None:
    chart = stack([(0, {"idle": 38}), (86400, {"idle": 12})], ["idle"])
    assert chart is not None
    assert [value for value, _ in chart.levels] == [0, 10, 20, 30]
    assert chart.levels[0][1] == 1
    assert [(moment.hour, part) for moment, part in chart.moments] == [
        (0, 0.0),
        (6, 0.25),
        (12, 0.5),
        (18, 0.75),
        (0, 1.0),
    ]


def test_the_axes_of_few_agents_and_minutes_repeat_no_label() -> None:
    chart = stack([(0, {"idle": 1}), (60, {"idle": 1})], ["idle"])
    assert chart is not None
    assert [value for value, _ in chart.levels] == [0, 1]
    assert [part for _, part in chart.moments] == [0.0, 1.0]
