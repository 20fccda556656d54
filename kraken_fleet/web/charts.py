"""Stacked areas over time as SVG shapes, drawn on the server. Pure; the template gives them their colours by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

WIDTH = 720
HEIGHT = 160


class Area(NamedTuple):
    """One series: its name, the polygon's points and its newest value."""

    name: str
    points: str
    latest: int


@dataclass(frozen=True, slots=True)
class Chart:
    areas: Sequence[Area]
    highest: int
    first_minute: int
    last_minute: int

    @property
    def levels(self) -> list[tuple[int, float]]:
        """The labels of the axis of values: each with its place from the top, in parts of the height."""
        step = _step(self.highest / 4)
        return [(value, round(1 - value / self.highest, 4)) for value in range(0, self.highest + 1, step)]

    @property
    def moments(self) -> list[tuple[datetime, float]]:
        """The labels of the axis of time: each with its place from the left, in parts of the width."""
        span = self.last_minute - self.first_minute
        return [
            (datetime.fromtimestamp(self.first_minute + part * span, UTC), part)
            for part in ((0.0, 0.25, 0.5, 0.75, 1.0) if span >= _LABELLED else (0.0, 1.0))
        ]


# A shorter time has labels for its beginning and end only: others would say the same minute.
_LABELLED = 240


def _step(smallest: float) -> int:
    """Return 1, 2 or 5 with zeros: the next such number, at least 1."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= smallest:
                return factor * size
        size *= 10


def stack(samples: Sequence[tuple[int, Mapping[str, int]]], names: Sequence[str]) -> Chart | None:
    """Stack the series in the order of their names, the first at the bottom.

    Args:
        samples: Unix time and a count for each name, oldest first.
        names: which series to draw.

    Returns:
        None while there are fewer than two samples: a line needs two points.
    """
    if len(samples) < 2:
        return None
    start, end = samples[0][0], samples[-1][0]
    # A fleet without agents still has an axis.
    highest = max(sum(counts.get(name, 0) for name in names) for _, counts in samples) or 1
    xs = [round((moment - start) / (end - start) * WIDTH, 1) for moment, _ in samples]
    floor = [0] * len(samples)
    areas = []
    for name in names:
        top = [base + counts.get(name, 0) for base, (_, counts) in zip(floor, samples, strict=True)]
        if top != floor:
            areas.append(Area(name, _polygon(xs, floor, top, highest), samples[-1][1].get(name, 0)))
        floor = top
    return Chart(areas, highest, start, end)


def _polygon(xs: Sequence[float], floor: Sequence[int], top: Sequence[int], highest: int) -> str:
    upper = [f"{x},{_y(value, highest)}" for x, value in zip(xs, top, strict=True)]
    lower = [f"{x},{_y(value, highest)}" for x, value in zip(xs, floor, strict=True)]
    return " ".join(upper + lower[::-1])


def _y(value: int, highest: int) -> float:
    return round(HEIGHT - value / highest * HEIGHT, 1)
