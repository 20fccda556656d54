"""Values in terms of JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kraken_fleet.cli import output
from kraken_fleet.model import Agent, GroupRef, HostInfo


def test_a_model_value_becomes_an_object_of_its_fields() -> None:
    info = HostInfo.from_json({"system": "debian-12", "docker": "20.10"})
    agent = Agent(1, "a", "127.0.0.11", groups=(GroupRef(2, "build"),), host_info=info)
    shown = output.plain(agent)
    assert isinstance(shown, dict)
    assert shown["groups"] == [{"id": 2, "name": "build"}]
    assert shown["host_info"]["extra"] == {"docker": "20.10"}


def test_times_paths_and_sets_become_text_and_lists() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    given = {"at": moment, "where": Path("/x"), "names": frozenset({"b", "a"}), "none": None}
    wanted = {"at": "2026-01-02T03:04:05+00:00", "where": "/x", "names": ["a", "b"], "none": None}
    assert output.plain(given) == wanted
