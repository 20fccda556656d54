"""Counts how often a program goes through all of something: work that grows with the square shows without a clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Walked(tuple[Item, ...]):
    """A tuple that counts how often it is walked through; `walks` says so."""

    walks = 0

    def __iter__(self) -> Iterator[Item]:
        self.walks += 1
        return super().__iter__()
