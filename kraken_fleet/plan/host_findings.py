"""What agents say of their hosts and of themselves that a person should know: clock, disk and version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kraken_fleet.model import Agent, DesiredAgent
from kraken_fleet.plan.finding import Finding

Pair = tuple[DesiredAgent, Agent]
"""An agent of the inventory, and its record on the server."""

# From here on a disk is worth a look, before its agent takes no more jobs.
_NEARLY_FULL = 0.95
# In seconds; the check of a deploy and of `doctor` on the host has the same.
_CLOCK_DIFFERENCE = 30
_VERSION = re.compile(r"\d+(?:\.\d+)*")


def disk(wanted: DesiredAgent, agent: Agent) -> Iterator[Finding]:
    """Find hosts with too little room for jobs, or soon; Kraken's own agent does not say."""
    info = agent.host_info
    if info is None:
        return
    hint = "Make room on the host, or let the agent keep less: kraken_agent_keep_jobs, kraken_agent_keep_images"
    used = info.resources.disk_used
    if info.no_jobs:
        yield Finding("takes_no_jobs", wanted.label, f"the agent takes no jobs: {info.no_jobs}", hint, "error")
    elif used is not None and used > _NEARLY_FULL:
        free = (info.resources.disk_free or 0) / 2**30
        message = f"the disk with the agent's jobs is {used:.0%} full: {free:.1f} GiB are free"
        yield Finding("disk_nearly_full", wanted.label, message, hint)


def clock(wanted: DesiredAgent, agent: Agent) -> Iterator[Finding]:
    """Find hosts whose clock is not the server's; Kraken's own agent does not say."""
    ahead = agent.host_info.clock_ahead if agent.host_info else None
    if ahead is not None and abs(ahead) > _CLOCK_DIFFERENCE:
        message = f"its clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the server's"
        hint = (
            "Synchronise the clocks of the host and of the server (chrony, systemd-timesyncd): logs get out of order, "
            "and S3 refuses requests"
        )
        yield Finding("clock_differs", wanted.label, message, hint)


def versions(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """Find agents of another version than the inventory names, and agents that are older than others of it.

    A version whose name does not begin with numbers is compared with nothing. Kraken's own agent says none.
    """
    said = [
        (wanted, agent.host_info.agent_version, numbers)
        for wanted, agent in pairs
        if agent.host_info and (numbers := _numbers(agent.host_info.agent_version))
    ]
    newest = max((numbers for _, _, numbers in said), default=())
    newest_name = next((name for _, name, numbers in said if numbers == newest), "")
    for wanted, name, numbers in said:
        expected = _numbers(wanted.version or "")
        if expected and expected != numbers:
            message = f"its agent is of version {name}, and the inventory names {wanted.version}"
            hint = "Deploy it again, or see whether the service was restarted"
            yield Finding("other_version", wanted.label, message, hint)
        elif not expected and numbers < newest:
            message = f"its agent is of version {name}, and others are of {newest_name}"
            yield Finding("older_version", wanted.label, message, "Upgrade it with upgrade-agents.yml", "info")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, without zeros at their end: 1.4 and 1.4.0 are the same."""
    found = _VERSION.match(version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0 and len(numbers) > 1:
        numbers.pop()
    return tuple(numbers)
