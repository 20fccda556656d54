"""What an agent is doing, in one word."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from kraken_fleet.model.agent import Agent

# An idle agent polls every 5 seconds (10 while unauthorized); six polls that are missing in a row are no accident.
SILENT_AFTER = timedelta(seconds=60)


class Activity(StrEnum):
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    DISABLED = "disabled"
    SILENT = "silent"
    DISCOVERED = "discovered"


def activity_of(agent: Agent, now: datetime, silent_after: timedelta = SILENT_AFTER) -> Activity:
    """Say what an agent is doing.

    Silence outweighs all else but authorization: a silent agent has not received what was decided since.

    Args:
        agent: as the server has it.
        now: timezone-aware.
        silent_after: how long an agent may be quiet.
    """
    if not agent.authorized:
        return Activity.DISCOVERED
    if agent.last_seen is None or now - agent.last_seen > silent_after:
        return Activity.SILENT
    if agent.disabled:
        return Activity.DRAINING if agent.job else Activity.DISABLED
    return Activity.BUSY if agent.job else Activity.IDLE
