"""What a watch remembers over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kraken_fleet.errors import FleetError
from kraken_fleet.watch.changes import Known
from kraken_fleet.watch.memory import MOST_UNSENT, Memory, MemoryFile
from kraken_fleet.watch.message import Message
from kraken_fleet.watch.problems import Problem, Topic

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
KNOWN = Known(Problem(Topic.SILENT, "build-1", "it is silent", "Look", "warning", "stale"), NOW, NOW, open=True)


def _file(directory: Path, inventory: str = "hosts.yml") -> MemoryFile:
    return MemoryFile(directory, "http://k/bk/api", inventory)


def test_all_of_it_is_read_as_it_was_written_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    memory = Memory({KNOWN.problem.key: KNOWN}).with_message(Message("t", "b", "error"), ["one", "two"])
    _file(tmp_path).write(memory)
    assert _file(tmp_path).read() == memory
    assert _file(tmp_path, "other.yml").read() == Memory()
    (path,) = tmp_path.rglob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_message_stays_until_each_receiver_has_it(tmp_path: Path) -> None:
    memory = Memory().with_message(Message("t", "b"), ["one", "two"])
    memory = memory.without(memory.unsent[0], "one")
    assert memory.unsent[0].to == {"two"}
    assert memory.without(memory.unsent[0], "two").unsent == ()
    assert memory.only_to(["one"]).unsent == ()
    for number in range(MOST_UNSENT + 5):
        memory = memory.with_message(Message(str(number), ""), ["two"])
    assert len(memory.unsent) == MOST_UNSENT
    assert memory.unsent[0].message.title == "5"


def test_a_damaged_file_is_named_rather_than_begun_anew(tmp_path: Path) -> None:
    _file(tmp_path).write(Memory())
    (path,) = tmp_path.rglob("*.json")
    path.write_text("{}")
    with pytest.raises(FleetError, match=path.name):
        _file(tmp_path).read()


def test_a_second_watch_of_the_same_fleet_is_refused(tmp_path: Path) -> None:
    with _file(tmp_path).alone():
        with pytest.raises(FleetError, match="Another"), _file(tmp_path).alone():
            pass
        with _file(tmp_path, "other.yml").alone():
            pass
    with _file(tmp_path).alone():
        pass
