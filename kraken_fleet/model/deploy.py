"""What one run of a playbook did to each host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

# Of the file that the results of a deploy go through to a registration in another process.
RESULTS_VERSION = 1


@dataclass(frozen=True, slots=True)
class HostResult:
    """One host's numbers, why it failed when it did, and what was changed.

    The numbers are those of Ansible's own recap, but what one task did for all hosts counts for those that it concerns.
    """

    ok: int = 0
    changed: int = 0
    failed: int = 0
    unreachable: int = 0
    message: str = ""
    changes: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        return not self.failed and not self.unreachable


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task of a run: how long it took for all hosts together, and what came of it on each.

    Args:
        results: `ok`, `changed`, `failed` or `unreachable` by host; a host that skipped it is left out.
    """

    name: str
    seconds: float
    results: Mapping[str, str] = field(default_factory=dict, hash=False)

    def hosts(self, result: str) -> tuple[str, ...]:
        """Return the hosts with this result."""
        return tuple(sorted(host for host, found in self.results.items() if found == result))


@dataclass(frozen=True, slots=True)
class Deploy:
    """One run: which playbook, when (ISO 8601, UTC), for how many seconds, and how each host fared.

    `id` tells it from other runs in the state directory; it is empty while it is not kept there.
    """

    playbook: str
    started: str
    seconds: float
    check: bool = False
    hosts: Mapping[str, HostResult] = field(default_factory=dict, hash=False)
    tasks: tuple[TaskResult, ...] = ()
    id: str = field(default="", compare=False)

    @property
    def changes_nothing(self) -> str:
        """Why it cannot have changed a host, in a word; empty when it may have."""
        if PurePath(self.playbook).stem == "doctor":
            return "doctor"
        return "dry run" if self.check else ""

    @property
    def failed_hosts(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, result in self.hosts.items() if not result.succeeded))
