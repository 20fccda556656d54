"""The coordinator: checks all hosts, has slices deployed, then registers and proves all of them at once.

Only this machine knows the server's account. Workers deploy hosts and tell what they have found on them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kraken_fleet.inventory import Inventory
from kraken_fleet.model import RESULTS_VERSION
from kraken_fleet.scale.divide import divide
from kraken_fleet.scale.events import DeployEvent, Ended, Events, Sliced, SliceEnded, SliceStarted
from kraken_fleet.scale.playbook import ACCESS, DEPLOY, VARIABLES, check, played
from kraken_fleet.scale.runner import Runner
from kraken_fleet.state import write_json

# The tags of deploy-agents.yml, in their order.
AGENT = "agent"
ON_SERVER = ("registration", "verify")
# As ansible-playbook has them.
FAILED, UNREACHABLE = 2, 4


@dataclass(frozen=True, slots=True)
class Phases:
    """What of a deploy is wanted.

    Args:
        tags: of AGENT and ON_SERVER.
        check: whether to predict only.
        diff: whether to show what changes.
        forks: hosts at a time of each ansible-playbook; 0 leaves it to its configuration.
    """

    tags: tuple[str, ...] = (AGENT, *ON_SERVER)
    check: bool = False
    diff: bool = False
    forks: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        """The options of ansible-playbook that are the same everywhere."""
        forks = ("--forks", str(self.forks)) if self.forks else ()
        return (*(("--check",) if self.check else ()), *(("--diff",) if self.diff else ()), *forks)


def deploy_in_slices(inventory: Inventory, runner: Runner, size: int, phases: Phases) -> Events:
    """Deploy the hosts of an inventory; yield what happens, one Ended at the end.

    Args:
        inventory: the hosts.
        runner: runs the slices.
        size: how many hosts a slice has at most.
        phases: what is wanted.

    Raises:
        FleetError: nothing could be begun.
    """
    # First of all, since a secret among the variables is to be told before anything is done.
    slices = divide(inventory.hosts(), size, phases.options)
    on_server = [tag for tag in phases.tags if tag != AGENT]
    code = yield from check(inventory, ACCESS if on_server else VARIABLES, *phases.options)
    if code:
        yield Ended(code)
        return
    yield Sliced({one.number: len(one.hosts) for one in slices})
    seen = SlicesSeen()
    for event in runner.run(slices):
        seen.see(event)
        yield event
    hosts = seen.hosts
    failed = {host: str(result["failed"]) for host, result in hosts.items() if "failed" in result}
    code = seen.code
    # Nothing can be registered when not one host was deployed.
    if on_server and len(failed) < len(hosts):
        registered = yield from _registered(inventory, hosts, on_server, phases)
        code = code if code == UNREACHABLE else registered or code
    yield Ended(code, failed)


@dataclass
class SlicesSeen:
    """What the slices have told."""

    hosts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _begun: dict[int, list[datetime]] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)

    def see(self, event: DeployEvent) -> None:
        """Take one event."""
        if isinstance(event, SliceStarted):
            self._begun.setdefault(event.slice, []).append(datetime.now(UTC))
        elif isinstance(event, SliceEnded) and event.slice not in self._ended:
            self._ended.add(event.slice)
            self.hosts.update({host: self._result(event.slice, result) for host, result in event.hosts.items()})

    def _result(self, number: int, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a host's result as of all attempts: the last one does not know what one that was lost has done."""
        begun = self._begun.get(number, [])
        if len(begun) < 2 or "failed" in result:
            return result
        return {"started_at": begun[0].isoformat(), **result, "changed": True}

    @property
    def code(self) -> int:
        """The exit code that ansible-playbook would have for these hosts."""
        return exit_code(self.hosts.values())


def exit_code(results: Iterable[Mapping[str, Any]]) -> int:
    """Return the exit code that ansible-playbook would have for hosts with these results."""
    failed = [result for result in results if "failed" in result]
    # An unreachable host wins over failed ones, as in ansible-playbook's own exit code.
    if any(result.get("unreachable") for result in failed):
        return UNREACHABLE
    return FAILED if failed else 0


def _registered(
    inventory: Inventory, hosts: Mapping[str, Mapping[str, Any]], tags: Sequence[str], phases: Phases
) -> Generator[DeployEvent, None, int]:
    """Register and prove the hosts; return ansible-playbook's exit code."""
    with tempfile.TemporaryDirectory(prefix="kraken-fleet-") as folder:
        path = Path(folder) / "results.json"
        # Only its owner may write it: the playbook refuses results that another account can change.
        write_json(path, {"version": RESULTS_VERSION, "hosts": hosts})
        # As JSON: Ansible splits `name=value` at blanks, which a path may have.
        given = ("-e", json.dumps({"kraken_registration_results": str(path)}))
        return (yield from played(inventory, DEPLOY, "--tags", ",".join(tags), *given, *phases.options))
