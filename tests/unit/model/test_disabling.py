"""Who disabled an agent, why and until when, as the name of an agents group."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kraken_fleet.model import LONGEST_NOTE, Agent, Disabling, GroupRef, is_earlier_group, is_own_group

_SINCE = datetime(2026, 11, 28, 21, 50, 12, tzinfo=UTC)
_UNTIL = _SINCE + timedelta(hours=2)


def test_the_name_of_the_group_is_read_by_people_and_by_us() -> None:
    said = Disabling("anna", _SINCE, _UNTIL, "a new disk", 7)
    name = "kraken-fleet-disabled-7 since 2026-11-28T21:50:12Z until 2026-11-28T23:50:12Z by anna: a new disk"
    assert said.group_name == name
    assert Disabling.parse(name) == said
    assert is_own_group(name)
    assert not is_earlier_group(name)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (Disabling("anna", _SINCE), Disabling("anna", _SINCE)),
        (Disabling("an:na\n", _SINCE, note=" two\nlines "), Disabling("an na", _SINCE, note="two lines")),
        (Disabling("", _SINCE, note="a: b"), Disabling("somebody", _SINCE, note="a: b")),
        (Disabling("x", _SINCE, note="n" * 999), Disabling("x", _SINCE, note="n" * LONGEST_NOTE)),
        (Disabling("x", _SINCE.astimezone(timezone(timedelta(hours=3)))), Disabling("x", _SINCE)),
    ],
)
def test_what_a_name_cannot_hold_is_left_out(said: Disabling, read: Disabling) -> None:
    assert Disabling.parse(said.group_name) == read


@pytest.mark.parametrize(
    "name",
    [
        "build",
        "kraken-fleet-disabled-",
        "kraken-fleet-disabled-7 since now by anna",
        "kraken-fleet-disabled-7 since 2026-11-28T21:50:12 by anna",
        "kraken-fleet-disabled-7 since 2026-11-28T21:50:12Z until never by anna",
        "kraken-fleet-upgrade-0a-1-2-3",
    ],
)
def test_other_names_say_nothing(name: str) -> None:
    assert Disabling.parse(name) is None


def test_an_agent_says_it_while_it_is_disabled_and_the_last_word_counts() -> None:
    first, last = Disabling("anna", _SINCE), Disabling("bert", _UNTIL)
    groups = tuple(GroupRef(number, said.group_name) for number, said in enumerate((last, first)))
    assert Agent(1, "a", "10.0.0.1", disabled=True, groups=groups).disabling == last
    assert Agent(1, "a", "10.0.0.1", disabled=False, groups=groups).disabling is None
    assert Agent(1, "a", "10.0.0.1", disabled=True, groups=groups).group_names == set()


def test_it_is_over_when_its_time_has_come_and_never_without_one() -> None:
    said = Disabling("anna", _SINCE, _UNTIL)
    assert [said.is_over(now) for now in (_SINCE, _UNTIL, _UNTIL + timedelta(1))] == [False, True, True]
    assert not Disabling("anna", _SINCE).is_over(_UNTIL)


def test_it_is_said_with_the_day_only_where_that_differs() -> None:
    said = "by anna since 2026-11-28 21:50 UTC until 23:50 UTC: a new disk"
    assert Disabling("anna", _SINCE, _UNTIL, "a new disk").said == said
    tomorrow = Disabling("anna", _SINCE, _UNTIL + timedelta(hours=1))
    assert tomorrow.said == "by anna since 2026-11-28 21:50 UTC until 2026-11-29 00:50 UTC"
