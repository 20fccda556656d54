# Copyright (c) kraken-fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads task results, for callbacks."""

from __future__ import annotations

from typing import Any

from kraken_fleet.model import shown

_LONGEST = 500


def failure_message(result: dict[str, Any]) -> str:
    """Say why a task failed, in as many characters as a table or a page has room for.

    What no_log hides stays hidden.
    """
    if result.get("_ansible_no_log") or result.get("censored"):
        return "the reason is hidden by no_log"
    # A host may say anything.
    return shown(str(result.get("msg") or "no reason given").strip()[:_LONGEST])
