"""Which problems people are told of, while the clock moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from kraken_fleet.watch.changes import Changes, Known, Times, compare
from kraken_fleet.watch.problems import Problem, Topic

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
DISK = Problem(Topic.DISK, "build-1", "the disk is nearly full")
DRIFT = Problem(Topic.DRIFT, "server", "1 change is due")


class Rounds:
    """Rounds one after another, each some minutes after noon."""

    def __init__(self, times: Times | None = None) -> None:
        self.known: Mapping[str, Known] = {}
        self.times = times or Times()

    def at(self, minutes: float, *problems: Problem, unseen: Iterable[Topic] = ()) -> tuple[list[str], list[str]]:
        """The subjects of which people are told that they have appeared, and that they are over."""
        found: Changes = compare(
            self.known, problems, START + timedelta(minutes=minutes), self.times, unseen=frozenset(unseen)
        )
        self.known = found.known
        return [one.problem.subject for one in found.appeared], [one.problem.subject for one in found.over]


def test_a_problem_is_told_of_once_and_once_more_when_it_is_over() -> None:
    rounds = Rounds()
    assert rounds.at(0, DISK) == (["build-1"], [])
    assert rounds.at(1, DISK) == ([], [])
    assert rounds.at(600, DISK) == ([], [])
    assert rounds.at(601) == ([], ["build-1"])
    assert rounds.at(602) == ([], [])
    assert not rounds.known


def test_a_message_that_changes_is_the_same_problem() -> None:
    rounds = Rounds()
    rounds.at(0, DISK)
    assert rounds.at(1, Problem(Topic.DISK, "build-1", "the disk is full")) == ([], [])
    assert next(iter(rounds.known.values())).problem.message == "the disk is full"


def test_one_that_has_to_last_is_told_of_only_when_it_has_lasted() -> None:
    rounds = Rounds(Times({Topic.DRIFT: timedelta(minutes=15)}))
    assert rounds.at(0, DRIFT) == ([], [])
    assert rounds.at(14, DRIFT) == ([], [])
    assert rounds.at(14.5) == ([], [])
    assert rounds.at(14.6, DRIFT) == ([], [])
    assert rounds.at(29, DRIFT) == ([], [])
    assert rounds.at(30, DRIFT) == (["server"], [])


def test_one_that_comes_and_goes_is_not_told_of_again_within_its_dead_time() -> None:
    rounds = Rounds(Times(dead={Topic.DISK: timedelta(hours=2)}))
    assert rounds.at(0, DISK) == (["build-1"], [])
    assert rounds.at(5) == ([], ["build-1"])
    assert rounds.at(10, DISK) == ([], [])
    assert rounds.at(15) == ([], [])
    assert rounds.at(110, DISK) == ([], [])
    assert rounds.at(119, DISK) == ([], [])
    assert rounds.at(120, DISK) == (["build-1"], [])
    assert rounds.at(121) == ([], ["build-1"])
    assert rounds.at(400, DISK) == (["build-1"], [])


def test_the_dead_time_of_one_subject_silences_no_other() -> None:
    rounds = Rounds()
    rounds.at(0, DISK)
    rounds.at(1)
    other = Problem(Topic.DISK, "build-2", "the disk is nearly full")
    assert rounds.at(2, DISK, other) == (["build-2"], [])


def test_what_could_not_be_looked_at_is_neither_over_nor_new() -> None:
    rounds = Rounds()
    rounds.at(0, DISK)
    away = set(Topic) - {Topic.SERVER}
    assert rounds.at(1, unseen=away) == ([], [])
    assert rounds.at(2, DISK) == ([], [])
    assert rounds.at(3) == ([], ["build-1"])


def test_a_clock_that_is_set_back_makes_nobody_wait_for_longer_than_the_dead_time() -> None:
    rounds = Rounds()
    rounds.at(100_000, DISK)
    rounds.at(100_001)
    assert rounds.at(0, DISK) == ([], [])
    assert rounds.at(60, DISK) == (["build-1"], [])
