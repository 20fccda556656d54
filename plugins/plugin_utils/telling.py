# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of a host without -v: what was changed on it, the version from and to among that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_OF_FILES = "make directory "


def what_changed(host: str, result: Mapping[str, Any], *, predicted: bool) -> Iterator[str]:
    """Give the line that says what was done to a host; none when nothing was.

    Args:
        host: its name in the inventory.
        result: of a task that brings agents to a host.
        predicted: whether it was only predicted.
    """
    changes = list(map(str, result.get("changes") or ())) if result.get("changed") else []
    if changes:
        # Directories come with what is in them.
        shown = [change for change in changes if not change.startswith(_OF_FILES)] or changes
        yield f"{host}: {'would change' if predicted else 'changed'}: {', '.join(shown)}"


def tell(display: Any, lines: Iterable[str]) -> None:
    """Show lines on standard error, where no program reads the answer of a play."""
    for line in lines:
        display.display(line, stderr=True)
