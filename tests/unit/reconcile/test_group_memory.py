"""What one command has found out about deleted agents groups, told to the next one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kraken_fleet.api import KrakenClient, PasswordCredentials
from kraken_fleet.reconcile import GroupMemory, Memories, observe, reconcile
from tests.unit.reconcile.lab import Lab, fleet


@contextmanager
def another_client(lab: Lab) -> Iterator[KrakenClient]:
    """As the next command has it; what it asks is in the lab's `requests`, and nothing before that."""
    credentials = lab.client._credentials
    assert isinstance(credentials, PasswordCredentials)
    with KrakenClient(lab.url, credentials) as client:
        lab.requests.clear()
        yield client


def _deleted(lab: Lab, *names: str) -> list[int]:
    """Groups that somebody has deleted without freeing their names; their ids."""
    ids = [lab.raw("POST", "/api/groups", {"name": name})["id"] for name in names]
    for number in ids:
        lab.raw("DELETE", f"/api/groups/{number}")
    lab.raw("POST", "/api/groups", {"name": "alive"})
    return ids


def _asked(lab: Lab, ids: list[int]) -> list[int]:
    asked = [line.rpartition("/")[2] for line in lab.requests if line.startswith("GET ") and "/groups/" in line]
    return [number for number in ids if str(number) in asked]


def test_the_next_command_asks_for_no_deleted_group_again(lab: Lab, tmp_path: Path) -> None:
    ids, memory = _deleted(lab, "old", "older"), GroupMemory(tmp_path)
    first = observe(lab.client, memory=memory)
    assert [group.name for group in first.deleted_groups] == ["old", "older"]
    with another_client(lab) as client:
        again = observe(client, memory=memory)
    assert [(group.id, group.name) for group in again.deleted_groups] == [*zip(ids, ["old", "older"], strict=True)]
    assert _asked(lab, ids) == []


def test_a_deleted_group_whose_name_matters_is_asked_for_again(lab: Lab, tmp_path: Path) -> None:
    ids, memory = _deleted(lab, "gpu", "older"), GroupMemory(tmp_path)
    observe(lab.client, memory=memory)
    # Another controller heals the name.
    lab.raw("PUT", f"/api/groups/{ids[0]}", {"name": "gpu-deleted"})
    lab.speak("127.0.0.21")
    with another_client(lab) as client:
        kinds = [
            event.kind for event in reconcile(client, fleet(("a", "127.0.0.21", "gpu")), memories=Memories(memory))
        ]
        assert kinds[0] == "planned"
        assert not [line for line in lab.writes if "/groups/" in line]
    assert ids[1] not in _asked(lab, ids)
    with another_client(lab) as client:
        names = [group.name for group in observe(client, names=["gpu"], memory=memory).deleted_groups]
    assert names == ["gpu-deleted", "older"]
    assert _asked(lab, ids) == []


def test_a_name_taken_into_use_is_healed_though_the_group_was_remembered(lab: Lab, tmp_path: Path) -> None:
    ids, memory = _deleted(lab, "gpu"), GroupMemory(tmp_path)
    observe(lab.client, memory=memory)
    lab.speak("127.0.0.21")
    with another_client(lab) as client:
        list(reconcile(client, fleet(("a", "127.0.0.21", "gpu")), memories=Memories(memory)))
    assert lab.client.group(ids[0]).name == f"gpu-deleted-{ids[0]}"


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: {**kept, "birth": "2001-01-01T00:00:00+00:00"},
        lambda kept: {**kept, "groups": {"1": None}},
        lambda kept: {**kept, "groups": {"2": {"name": "no time"}}},
        lambda kept: ["what is this"],
    ],
    ids=["of another server", "a living group among them", "half an entry", "no memory at all"],
)
def test_a_memory_that_cannot_be_of_this_server_is_not_believed(lab: Lab, tmp_path: Path, damage: object) -> None:
    ids, memory = _deleted(lab, "old"), GroupMemory(tmp_path)
    first = observe(lab.client, memory=memory)
    (file,) = tmp_path.rglob("*.json")
    file.write_text(json.dumps(damage(json.loads(file.read_text()))))  # type: ignore[operator]
    with another_client(lab) as client:
        assert observe(client, memory=memory).deleted_groups == first.deleted_groups
    assert _asked(lab, ids) == ids


def test_a_directory_that_cannot_be_written_only_costs_the_memory(lab: Lab, tmp_path: Path) -> None:
    _deleted(lab, "old")
    (tmp_path / "file").touch()
    memory = GroupMemory(tmp_path / "file")
    assert [group.name for group in observe(lab.client, memory=memory).deleted_groups] == ["old"]
