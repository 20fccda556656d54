"""What is wrong with a fleet, by one reading of its server, and by how deploys and reconciliations have ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from kraken_fleet.errors import FleetError
from kraken_fleet.model import Deploy
from kraken_fleet.plan import Finding, Plan
from kraken_fleet.reconcile import Reading
from kraken_fleet.state import ReconcileResult

# Playbooks that only look.
_LOOKING = ("doctor",)
# The message of a failure may be a whole log.
_LONGEST = 300


class Topic(StrEnum):
    """What problems are about."""

    SERVER = "server"
    SILENT = "silent"
    DISK = "disk"
    JOBS = "jobs"
    DEPLOY = "deploy"
    RECONCILE = "reconcile"
    DRIFT = "drift"
    FINDING = "finding"


# All other findings have the topic FINDING.
_TOPICS = {
    "stale": Topic.SILENT,
    "disk_nearly_full": Topic.DISK,
    "takes_no_jobs": Topic.DISK,
    "jobs_without_agents": Topic.JOBS,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        topic: what it is about.
        subject: the host, group or server that has it.
        message: what was seen.
        hint: what to do; may be empty.
        severity: `warning` or `error`.
        kind: the kind of finding that it is, if it is one.
    """

    topic: Topic
    subject: str
    message: str
    hint: str = ""
    severity: str = "warning"
    kind: str = ""

    @property
    def key(self) -> str:
        """What makes it the same problem in the next round, whatever its message says then."""
        return f"{self.topic}:{self.kind}:{self.subject}"


def problems_of(
    reading: Reading, deploys: Iterable[Deploy] = (), reconciled: ReconcileResult | None = None
) -> tuple[Problem, ...]:
    """Return all problems, each once.

    Args:
        reading: with a plan.
        deploys: of the past, the newest first.
        reconciled: how the last reconciliation of this server ended.
    """
    plan = reading.plan
    found = [
        *(_findings(plan, _meant_to_be_away(reading)) if plan else ()),
        *_failed_deploys(deploys, reading.names.hosts),
        *(_failed_reconciliation(reconciled) if reconciled else ()),
        *(_drift(plan) if plan else ()),
    ]
    # Of several with one key the first is kept: in reverse order it is the last to be stored.
    return tuple({problem.key: problem for problem in reversed(found)}.values())[::-1]


def unreadable(error: FleetError, server: str) -> Problem:
    """Return the problem that a server, or the inventory that it is compared with, cannot be read."""
    where = f" ({error.where})" if error.where else ""
    return Problem(Topic.SERVER, server, f"{error.message}{where}", error.hint or "", "error")


def _findings(plan: Plan, away: Collection[str]) -> Iterator[Problem]:
    for finding in plan.findings:
        topic = _TOPICS.get(finding.kind, Topic.FINDING)
        # Findings with the severity info say what somebody wanted or may ignore: nobody has to be told at once.
        if finding.severity != "info" and not (topic is Topic.SILENT and finding.subject in away):
            yield _of_finding(finding, topic)


def _of_finding(finding: Finding, topic: Topic) -> Problem:
    return Problem(topic, finding.subject, finding.message, finding.hint, finding.severity, finding.kind)


def _meant_to_be_away(reading: Reading) -> Collection[str]:
    """Return the hosts whose agents somebody has disabled until a time to come: they may well be switched off."""
    return {
        reading.names.name(agent)
        for agent in reading.agents
        if agent.disabling and agent.disabling.until and not agent.disabling.is_over(reading.now)
    }


def _failed_deploys(deploys: Iterable[Deploy], hosts: frozenset[str]) -> Iterator[Problem]:
    """Find the hosts of the inventory of which the last playbook run failed."""
    seen: set[str] = set()
    for deploy in deploys:
        if deploy.check or PurePath(deploy.playbook).stem in _LOOKING:
            continue
        for host in sorted(deploy.hosts.keys() & hosts - seen):
            result = deploy.hosts[host]
            if not result.succeeded:
                reason = _first_line(result.message) or ("unreachable" if result.unreachable else "a task failed")
                message = f"{PurePath(deploy.playbook).name} of {deploy.started} failed: {reason}"
                yield Problem(Topic.DEPLOY, host, message, "Correct that, and run it again")
        seen |= deploy.hosts.keys()


def _failed_reconciliation(result: ReconcileResult) -> Iterator[Problem]:
    if result.message:
        named = f": {_listed(result.failures)}" if result.failures else ""
        message = f"the round that ended at {result.ended} failed: {result.message}{named}"
        yield Problem(Topic.RECONCILE, "reconcile", message, result.hint)


def _drift(plan: Plan) -> Iterator[Problem]:
    if plan.actions:
        changes = ", ".join(f"{count} {kind}" for kind, count in plan.summary().items())
        message = f"the server is not as the inventory says: {changes}"
        # One problem for all changes: their number differs from round to round, and people are told once.
        yield Problem(Topic.DRIFT, "server", message, "Look with `kraken-fleet plan`; `reconcile` makes the changes")


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:_LONGEST]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
