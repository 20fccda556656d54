"""The agent keeps its disk: old things go after jobs, and without room it takes no job and says so."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kraken_agent import images, tidying
from kraken_agent.keeping import Keeping, keeping_of
from kraken_agent.resources import Space

from tests.unit.agent.conftest import RunningAgent
from tests.unit.agent.fake_server import FakeServer

Until = Callable[..., None]

DAY = 86400.0
# Times of files are as coarse as the kernel's clock.
CLOCK_TICK = 0.02


class Removals(list[str]):
    """Stands for both engines: removes images, except those that are in use."""

    def __init__(self) -> None:
        super().__init__()
        self.in_use: set[str] = set()

    def remove(self, image: Any) -> bool:  # type: ignore[override] # it is asked as an engine here
        if image.name in self.in_use:
            return False
        self.append(image.name)
        return True


@pytest.fixture
def removals(monkeypatch: pytest.MonkeyPatch) -> Removals:
    found = Removals()
    monkeypatch.setattr(images, "_REMOVALS", dict.fromkeys((images.DOCKER, images.LXD), found.remove))
    return found


def tidy(data: Path, keeping: Keeping, wanted: int = 0) -> list[str]:
    said: list[dict[str, Any]] = []
    assert tidying.tidy(str(data), keeping, wanted, said.append) == 0
    return [message["removed"] for message in said]


def make_jobs(data: Path, count: int) -> None:
    for number in range(count):
        (data / "jobs" / str(number)).mkdir(parents=True)
        time.sleep(CLOCK_TICK)


def jobs_of(data: Path) -> set[str]:
    return {path.name for path in (data / "jobs").iterdir()}


def pull(data: Path, *names: str) -> None:
    for name in names:
        images.Record(str(data)).note(images.DOCKER, name, f"id-of-{name}", is_pulled=True)
        time.sleep(CLOCK_TICK)


def names(found: list[images.Image]) -> list[str]:
    return [image.name for image in found]


def test_the_directories_of_the_latest_jobs_stay(tmp_path: Path) -> None:
    make_jobs(tmp_path, 5)
    assert not tidying.is_due(str(tmp_path), Keeping(jobs=5))
    assert tidying.is_due(str(tmp_path), Keeping(jobs=2))
    tidy(tmp_path, Keeping(jobs=2))
    assert jobs_of(tmp_path) == {"3", "4"}
    tidy(tmp_path, Keeping(jobs=2))
    assert jobs_of(tmp_path) == {"3", "4"}


def test_directories_of_old_jobs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_jobs(tmp_path, 2)
    later = time.time() + 8 * DAY
    monkeypatch.setattr(time, "time", lambda: later)
    assert not tidying.is_due(str(tmp_path), Keeping(jobs_days=9))
    assert not tidying.is_due(str(tmp_path), Keeping(jobs_days=0))
    tidy(tmp_path, Keeping(jobs_days=9))
    assert jobs_of(tmp_path) == {"0", "1"}
    assert tidying.is_due(str(tmp_path), Keeping(jobs_days=7))
    tidy(tmp_path, Keeping(jobs_days=7))
    assert jobs_of(tmp_path) == set()


def test_images_go_by_number_and_by_age(tmp_path: Path, removals: Removals) -> None:
    pull(tmp_path, "old", "middle", "new")
    record = images.Record(str(tmp_path))
    now = time.time()
    assert names(record.beyond(2, 0, now)) == ["old"]
    assert names(record.beyond(9, 5 * DAY, now + 6 * DAY)) == ["old", "middle", "new"]
    assert names(record.beyond(9, 5 * DAY, now)) == []
    record.note(images.DOCKER, "old", "id-of-old", is_pulled=False)
    assert names(record.beyond(2, 0, now)) == ["middle"]
    tidy(tmp_path, Keeping(images=1))
    assert removals == ["middle", "new"]
    assert names(record.beyond(0, 0, now)) == ["old"]


def test_an_image_that_the_agent_did_not_pull_is_never_its_to_remove(tmp_path: Path, removals: Removals) -> None:
    record = images.Record(str(tmp_path))
    record.note(images.DOCKER, "theirs", "id", is_pulled=False)
    pull(tmp_path, "replaced")
    # Somebody has pulled another content under the same name since.
    record.note(images.DOCKER, "replaced", "another-id", is_pulled=False)
    tidy(tmp_path, Keeping(images=0))
    assert removals == []


def test_an_image_that_a_container_needs_stays_and_is_remembered(tmp_path: Path, removals: Removals) -> None:
    pull(tmp_path, "needed")
    removals.in_use.add("needed")
    tidy(tmp_path, Keeping(images=0))
    assert names(images.Record(str(tmp_path)).beyond(0, 0, 0)) == ["needed"]
    removals.in_use.clear()
    tidy(tmp_path, Keeping(images=0))
    assert removals == ["needed"]
    assert names(images.Record(str(tmp_path)).beyond(0, 0, 0)) == []


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"images": 5}', '{"images": [5, {}, {"engine": "rm", "name": "x", "id": "y", "used": 1}]}'],
)
def test_a_record_that_a_job_has_spoilt_names_no_image(tmp_path: Path, content: str) -> None:
    (tmp_path / "images.json").write_text(content)
    assert images.Record(str(tmp_path)).beyond(0, 0, 0) == []


def test_without_room_what_the_next_job_can_do_without_goes_the_latest_job_last(
    tmp_path: Path, removals: Removals, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_jobs(tmp_path, 3)
    (tmp_path / "tools" / "0123").mkdir(parents=True)
    pull(tmp_path, "image")
    needs = tidy(tmp_path, Keeping(), wanted=1 << 60)
    assert [text.split(" was removed")[0].rpartition("/")[2] for text in needs] == [
        "0",
        "1",
        "tools",
        "image image",
        "2",
    ]
    assert removals == ["image"]
    assert jobs_of(tmp_path) == set()
    assert not (tmp_path / "tools").exists()


def test_no_more_goes_than_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_jobs(tmp_path, 3)
    monkeypatch.setattr(tidying, "disk_space", lambda path: Space(100, 60 if len(jobs_of(tmp_path)) < 3 else 40))
    assert len(tidy(tmp_path, Keeping(), wanted=50)) == 1
    assert jobs_of(tmp_path) == {"1", "2"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MIN_FREE", "much"), ("MIN_FREE", "-1G"), ("MIN_FREE", "100%"), ("MIN_FREE", "1.5G"), ("MIN_FREE", "5P"),
        ("KEEP_JOBS", "-1"), ("KEEP_JOBS_DAYS", "1.5"), ("KEEP_IMAGES", "all"), ("KEEP_IMAGES_DAYS", "9999999"),
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"KRAKEN_AGENT_{name} is"):
        keeping_of({f"KRAKEN_AGENT_{name}": value})


def test_sizes_are_read_as_people_write_them(tmp_path: Path) -> None:
    state = os.statvfs(tmp_path)
    assert keeping_of({}).needed(str(tmp_path)) == 512 * 1024**2
    assert keeping_of({"KRAKEN_AGENT_MIN_FREE": "2g"}).needed(str(tmp_path)) == 2 * 1024**3
    part = keeping_of({"KRAKEN_AGENT_MIN_FREE": "2.5%"}).needed(str(tmp_path))
    assert part == int(state.f_blocks * state.f_frsize * 0.025)


def test_an_agent_without_room_takes_no_job_says_so_and_works_again(
    server: FakeServer, start_agent: Callable[..., RunningAgent], until: Until, tmp_path: Path
) -> None:
    env_file = tmp_path / "kraken.env"
    settings = f"KRAKEN_SERVER_ADDR={server.url}\nKRAKEN_DATA_DIR={tmp_path}/data\n"
    env_file.write_text(f"{settings}KRAKEN_AGENT_MIN_FREE=99.9%\n")
    job = server.add_job({"cmd": "true"})
    agent = start_agent(KRAKEN_AGENT_MIN_FREE="99.9%")
    until(lambda: server.said("host-info"))
    until(lambda: "this agent takes no jobs: the disk of" in agent.said())
    told = server.said("host-info")[-1]["info"]
    assert "free, and the agent needs" in told["kraken_fleet_no_jobs"]
    time.sleep(2)
    # Kraken's own server gives jobs to whoever speaks, so the agent is silent.
    assert {message["msg"] for message in server.messages} == {"host-info"}
    env_file.write_text(f"{settings}KRAKEN_AGENT_MIN_FREE=1M\n")
    agent.signal(signal.SIGHUP)
    until(lambda: job.finished)
    assert "takes jobs again" in agent.said()
    assert "kraken_fleet_no_jobs" not in server.said("host-info")[-1]["info"]


def test_the_record_holds_what_a_docker_job_had(tmp_path: Path) -> None:
    images.Record(str(tmp_path)).note(images.LXD, "debian:12", "f" * 64, is_pulled=True)
    (row,) = json.loads((tmp_path / "images.json").read_text())["images"]
    assert (row["engine"], row["name"], row["id"]) == ("lxd", "debian:12", "f" * 64)
    assert row["used"] == pytest.approx(time.time(), abs=60)
