"""What the coordinator makes of what slices tell."""

from __future__ import annotations

import pytest

from kraken_fleet.errors import UsageError
from kraken_fleet.scale.coordinator import SlicesSeen
from kraken_fleet.scale.events import HostDone, SliceEnded, SliceStarted, slice_event, to_dict
from kraken_fleet.scale.tls import checked_address

AGENT = {"changed": False, "agents": [{"address": "10.0.0.1"}]}


def seen(*events: SliceStarted | SliceEnded) -> SlicesSeen:
    made = SlicesSeen()
    for event in events:
        made.see(event)
    return made


def test_a_slice_that_went_well_the_first_time_is_as_it_was_told() -> None:
    found = seen(SliceStarted(1, "a"), SliceEnded(1, 0, {"one": AGENT}))
    assert (found.hosts, found.code) == ({"one": AGENT}, 0)


def test_hosts_of_a_slice_that_was_begun_twice_count_as_changed_and_started() -> None:
    found = seen(SliceStarted(1, "a"), SliceStarted(1, "b"), SliceEnded(1, 0, {"one": AGENT}))
    assert found.hosts["one"]["changed"] is True
    assert "started_at" in found.hosts["one"]


def test_only_the_first_result_of_a_slice_counts() -> None:
    found = seen(SliceEnded(1, 0, {"one": AGENT}), SliceEnded(1, 1, {"one": {"failed": "late"}}))
    assert (found.hosts, found.code) == ({"one": AGENT}, 0)


@pytest.mark.parametrize(
    ("result", "code"), [({"failed": "no"}, 2), ({"failed": "no", "unreachable": True}, 4), (AGENT, 0)]
)
def test_exit_codes_are_those_of_ansible_playbook(result: dict[str, object], code: int) -> None:
    assert seen(SliceEnded(1, 2, {"one": result, "two": AGENT})).code == code


def test_events_travel_as_json() -> None:
    event = HostDone(3, "one", "failed", "why")
    assert slice_event(to_dict(event)) == event
    for bad in ({"event": "Ended", "code": 0}, {"event": "HostDone"}, {}):
        with pytest.raises(ValueError, match=r"event|argument"):
            slice_event(bad)


@pytest.mark.parametrize("address", ["tcp://host:8786", "host:8786", "tls://host", "tls://:8786", "0", "-1"])
def test_workers_are_reached_over_tls_only(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a scheduler"):
        checked_address(address)
