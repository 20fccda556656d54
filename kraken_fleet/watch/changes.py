"""Which problems people have to be told of, now that these are there: pure, with the time handed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kraken_fleet.watch.problems import Problem, Topic

_NONE = timedelta(0)
_SHORT = timedelta(minutes=2)
# A deploy makes drift and findings that the next minutes take away; a server restarts.
LASTING: Mapping[Topic, timedelta] = {
    Topic.SERVER: _SHORT,
    Topic.JOBS: _SHORT,
    Topic.DRIFT: timedelta(minutes=15),
    Topic.FINDING: timedelta(minutes=15),
}
# What comes and goes, such as an agent on a bad line, is news once an hour and not each time.
DEAD_TIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Times:
    """How long to wait with messages, by topic.

    Args:
        lasting: how long a problem lasts before people are told of it.
        dead: how long people are not told again of a problem after a message about it.
    """

    lasting: Mapping[Topic, timedelta] = field(default_factory=lambda: dict(LASTING))
    dead: Mapping[Topic, timedelta] = field(default_factory=dict)

    def is_due(self, known: Known, now: datetime) -> bool:
        """Say whether people are to be told of a problem by now."""
        if now - known.since < self.lasting.get(known.problem.topic, _NONE):
            return False
        return known.told is None or self.dead_time_is_over(known, now)

    def dead_time_is_over(self, known: Known, now: datetime) -> bool:
        """Say whether so much time has gone by since people were told that they may be told again."""
        return known.told is None or now - known.told >= self.dead.get(known.problem.topic, DEAD_TIME)


@dataclass(frozen=True, slots=True)
class Known:
    """A problem as it is remembered from round to round.

    Args:
        since: when it was first seen; anew when it comes back.
        told: when people were last told that it is there; None when they were not.
        here: whether it was there in the last round.
        open: whether people know that it is there, and not yet that it is over.
    """

    problem: Problem
    since: datetime
    told: datetime | None = None
    here: bool = True
    open: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What a round has found.

    Args:
        known: what is to be remembered.
        appeared: problems that people are to be told of.
        over: problems that people were told of, and that are there no more.
    """

    known: Mapping[str, Known]
    appeared: tuple[Known, ...] = ()
    over: tuple[Known, ...] = ()


def compare(
    known: Mapping[str, Known],
    problems: Iterable[Problem],
    now: datetime,
    times: Times,
    *,
    unseen: Collection[Topic] = (),
) -> Changes:
    """Compare the problems of this round with what is known.

    Args:
        known: by the problems' keys.
        now: the time; a clock that was set back counts as if no time had gone by.
        unseen: topics that could not be looked at: what is known of them stays as it is.
    """
    kept, appeared, over = {}, [], []
    here = {problem.key: problem for problem in problems}
    for key, problem in here.items():
        one = _seen(known.get(key), problem, now)
        if not one.open and times.is_due(one, now):
            one = replace(one, told=now, open=True)
            appeared.append(one)
        kept[key] = one
    for key, one in known.items():
        if key in here:
            continue
        if one.problem.topic in unseen:
            kept[key] = one
            continue
        if one.open:
            over.append(one)
        # Kept although it is over: its dead time counts from when people were told.
        if one.told and not times.dead_time_is_over(one, now):
            kept[key] = replace(one, here=False, open=False)
    return Changes(kept, tuple(appeared), tuple(over))


def _seen(known: Known | None, problem: Problem, now: datetime) -> Known:
    if known is None:
        return Known(problem, now)
    told = min(known.told, now) if known.told else None
    return Known(problem, min(known.since, now) if known.here else now, told, open=known.open)
