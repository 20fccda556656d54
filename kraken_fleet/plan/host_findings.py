"""What agents say of their hosts and of themselves that a person should know: clock, disk and version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from kraken_fleet.model import Agent, DesiredAgent
from kraken_fleet.plan.finding import Finding

Pair = tuple[DesiredAgent, Agent]
"""An agent of the inventory, and its record on the server."""

# From here on a disk is worth a look, before its agent takes no more jobs.
_NEARLY_FULL = 0.95
# In seconds; the check of a deploy and of `doctor` on the host has the same.
CLOCK_DIFFERENCE = 30
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


def clocks(pairs: Iterable[Pair], server_ahead: timedelta) -> Iterator[Finding]:
    """Find hosts whose clock is not the server's, and say when it is the controller's or the server's own that is off.

    Kraken's own agent does not say what its clock is.

    Args:
        server_ahead: by how much the server's clock is ahead of the controller's.
    """
    said = [(wanted, agent.host_info.clock_ahead) for wanted, agent in pairs if agent.host_info]
    hosts = [(wanted, ahead) for wanted, ahead in said if ahead is not None]
    controller = -round(server_ahead.total_seconds())
    if _differs(controller):
        # Then one finding for each host would hide that it is the server's clock which is off.
        if hosts and all(_differs(ahead) and not _differs(ahead - controller) for _, ahead in hosts):
            yield _of_the_server(controller, len(hosts))
            return
        yield _of_the_controller(controller)
    yield from (_of_a_host(wanted, ahead) for wanted, ahead in hosts if _differs(ahead))


def _differs(seconds: int) -> bool:
    return abs(seconds) > CLOCK_DIFFERENCE


def _of_a_host(wanted: DesiredAgent, ahead: int) -> Finding:
    hint = (
        "Synchronise the clocks of the host and of the server (chrony, systemd-timesyncd): logs get out of order, "
        "and S3 refuses requests"
    )
    return Finding("clock_differs", wanted.label, f"its clock is {apart(ahead)} the server's", hint)


def _of_the_controller(ahead: int) -> Finding:
    message = f"the clock of this machine, which runs kraken-fleet, is {apart(ahead)} the server's"
    hint = (
        "Synchronise this machine's clock (chrony, systemd-timesyncd): times in its records and in the audit log are "
        "wrong, and certificates may seem expired"
    )
    return Finding("controller_clock_differs", "controller", message, hint)


def _of_the_server(ahead: int, hosts: int) -> Finding:
    others = "the one host that says so" if hosts == 1 else f"all {hosts} hosts that say so"
    message = f"the clocks of this machine and of {others} agree, and are {apart(ahead)} the server's"
    hint = (
        "Synchronise the server's clock (chrony, systemd-timesyncd), or all others if it is right: logs get out of "
        "order, and S3 refuses requests"
    )
    return Finding("server_clock_differs", "server", message, hint)


def apart(ahead: int) -> str:
    """Say how far a clock is from another one.

    Args:
        ahead: in seconds; less than 0 when it is behind.
    """
    return f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'}"


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
            yield Finding("older_version", wanted.label, message, "Upgrade it with `kraken-fleet upgrade`", "info")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, without zeros at their end: 1.4 and 1.4.0 are the same."""
    found = _VERSION.match(version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0 and len(numbers) > 1:
        numbers.pop()
    return tuple(numbers)
