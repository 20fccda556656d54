# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the variables of many hosts, of which nobody has gathered facts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.vars import manager

_NAME = "clean_facts"


@contextmanager
def quick_without_facts() -> Iterator[None]:
    """Let Ansible read the variables of hosts without facts without a search for each of them.

    For each host it looks for all connection plugins on disk, to drop facts that would set their variables. Hosts
    without facts have none to drop. The process of a task reads variables in one thread.
    """
    cleaned = getattr(manager, _NAME, None)
    if cleaned is None:  # another version of Ansible does it elsewhere
        yield
        return

    def quick(facts: dict[str, Any]) -> Any:
        return cleaned(facts) if facts else {}

    setattr(manager, _NAME, quick)
    try:
        yield
    finally:
        setattr(manager, _NAME, cleaned)
