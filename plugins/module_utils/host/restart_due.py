"""Agents whose restart is due: noted on the host, so that a deploy that ends before the restart does not lose it.

The next deploy finds the files as they are wanted, and could not tell that the running agent has not read them.
"""

from __future__ import annotations

import copy
import os
from typing import List, Sequence

from . import opening
from .changes import Change
from .files import Attributes, write_file

NAME = "restart-due"


def is_due(directory: str) -> bool:
    """Tell whether a deploy of the agent in this directory has ended before it started the agent again."""
    return opening.status(os.path.join(directory, NAME)) is not None


def noted(changes: Sequence[Change], directories: Sequence[str]) -> List[Change]:
    """Return the same changes; before the first is made, the agents in these directories are noted.

    Args:
        changes: those of a deploy, in their order.
        directories: of the agents that are started again in it; one that is not there yet has no running agent.
    """
    there = [directory for directory in directories if opening.is_directory(directory)]
    if not changes or not there:
        return list(changes)
    first = copy.copy(changes[0])

    def note_and_apply() -> None:
        for directory in there:
            write_file(os.path.join(directory, NAME), b"", Attributes(0o644))
        changes[0].apply()

    first.apply = note_and_apply
    return [first, *changes[1:]]


def done(directory: str) -> None:
    """Forget the note: the agent has been started with what is there."""
    opening.remove(os.path.join(directory, NAME))
