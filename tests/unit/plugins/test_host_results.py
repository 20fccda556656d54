"""What one process writes of the hosts that it has deployed, and another one reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play import host_results
from ansible_collections.kraken_ci.fleet.plugins.plugin_utils.play.host_results import HOST_RESULT, HostResults

from kraken_fleet.errors import FleetError
from tests.unit.plugins.test_registration import Hostvars

STARTED = "2026-01-02T03:04:05+00:00"
AGENT = {"name": "", "address": "10.0.0.1", "nonce_sha256": "ab" * 32, "release": "1.0-abc"}
NOTHING = Hostvars({"good": {}, "bad": {}, "gone": {}, "left": {}})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file of four hosts, the last of which has no result."""
    results = {
        "good": {"changed": True, "agents": [{**AGENT, "more": "x"}], "started_at": STARTED, "diff": [{"after": "y"}]},
        "bad": {"failed": True, "msg": "No space left"},
        "gone": {"unreachable": True, "msg": "No route"},
        "left": {"skipped": True},
    }
    path = tmp_path / "results.json"
    hostvars = Hostvars({host: {HOST_RESULT: result} for host, result in results.items()})
    assert host_results.write(hostvars, results, path) == 3
    return path


def test_only_what_registration_needs_is_written_and_only_the_owner_reads_it(written: Path) -> None:
    assert written.stat().st_mode & 0o777 == 0o600
    assert json.loads(written.read_text())["hosts"] == {
        "good": {"changed": True, "agents": [AGENT], "started_at": STARTED},
        "bad": {"failed": "No space left"},
        "gone": {"failed": "No route", "unreachable": True},
    }


def test_another_process_reads_the_results_and_names_the_hosts_without_an_agent(written: Path) -> None:
    found = HostResults(NOTHING, str(written))
    assert found.of("good") == {"changed": True, "agents": [AGENT], "started_at": STARTED}
    assert found.failures(["good", "bad", "gone", "left"]) == {
        "bad": "its deploy has failed: No space left",
        "gone": "its deploy has failed: No route",
        "left": f"{written} has no result of its deploy. "
        "Deploy with `--tags agent` and the same kraken_registration_results first",
    }


def test_without_a_file_only_what_the_play_has_registered_counts() -> None:
    found = HostResults(Hostvars({"one": {HOST_RESULT: {"changed": True}}, "two": {}}))
    assert (found.of("one"), found.of("two"), found.failures(["one", "two"])) == ({"changed": True}, {}, {})


def test_what_this_play_has_registered_goes_before_the_file(written: Path) -> None:
    found = HostResults(Hostvars({"good": {HOST_RESULT: {"changed": False}}}), str(written))
    assert found.of("good") == {"changed": False}


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_refused(written: Path, mode: int) -> None:
    written.chmod(mode)
    with pytest.raises(FleetError, match="Others can write this file"):
        HostResults(NOTHING, str(written))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "hosts": []}', '{"version": 1, "hosts": {"a": 1}}'])
def test_a_file_of_something_else_is_refused(written: Path, text: str) -> None:
    written.write_text(text)
    with pytest.raises(FleetError, match="These are no results of a deploy"):
        HostResults(NOTHING, str(written))


def test_a_file_of_another_version_and_none_at_all_are_told_apart(written: Path) -> None:
    written.write_text('{"version": 2, "hosts": {}}')
    with pytest.raises(FleetError, match="Its version is not 1"):
        HostResults(NOTHING, str(written))
    written.unlink()
    with pytest.raises(FleetError, match="The results cannot be read: No such file"):
        HostResults(NOTHING, str(written))
