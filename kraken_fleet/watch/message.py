"""What people read: one message for all that a round has found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kraken_fleet.address import ServerAddress
from kraken_fleet.model import shown, span
from kraken_fleet.watch.changes import Known
from kraken_fleet.watch.problems import Topic

# When the network of five hundred hosts fails, nobody reads five hundred lines.
MOST_LINES = 20
_HEADS = {
    Topic.SERVER: "Cannot be read",
    Topic.SILENT: "Silent agents",
    Topic.DISK: "Disks nearly full",
    Topic.JOBS: "Jobs that nobody can take",
    Topic.DEPLOY: "Failed deploys",
    Topic.RECONCILE: "Failed reconciliation",
    Topic.DRIFT: "Drift",
    Topic.FINDING: "Findings",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Args:
        severity: `error`, `warning`, or `info` when nothing has become worse.
    """

    title: str
    body: str
    severity: str = "warning"


def message_of(
    appeared: Sequence[Known], over: Sequence[Known], enabled: Sequence[str], now: datetime, server: str
) -> Message | None:
    """Write the message; None when there is nothing to say.

    Args:
        enabled: agents that get jobs again, each as a sentence.
        server: its URL.
    """
    counts = (
        (len(appeared), "problem" if len(appeared) == 1 else "problems"),
        (len(over), "over"),
        (len(enabled), "enabled again"),
    )
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    if not said:
        return None
    severities = {one.problem.severity for one in appeared}
    severity = "error" if "error" in severities else "warning" if severities else "info"
    address = ServerAddress.parse(server)
    lines = [*_sections(appeared, over, enabled, now), f"{now:%Y-%m-%d %H:%M} UTC, {address.root}"]
    body = "\n".join(shown(line, lines=False) for line in lines)
    return Message(f"Kraken fleet {address.host}: {said}", body, severity)


def _sections(appeared: Sequence[Known], over: Sequence[Known], enabled: Sequence[str], now: datetime) -> Iterator[str]:
    for topic, head in _HEADS.items():
        yield from _section(head, [_sentence(one) for one in appeared if one.problem.topic is topic])
    yield from _section("Over", [_ended(one, now) for one in over])
    yield from _section("Enabled again", enabled)


def _section(head: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if not found:
        return
    yield f"{head}:"
    yield from (f"- {line}" for line in found[:MOST_LINES])
    if len(found) > MOST_LINES:
        yield f"- and {len(found) - MOST_LINES} more"
    yield ""


def _sentence(known: Known) -> str:
    problem = known.problem
    return f"{problem.subject}: {problem.message}." + (f" {problem.hint.rstrip('.')}." if problem.hint else "")


def _ended(known: Known, now: datetime) -> str:
    problem = known.problem
    return f"{problem.subject}, after {span(now - known.since)}: {problem.message}."
