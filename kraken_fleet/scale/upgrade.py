"""An upgrade in slices: batches over all hosts, the slices of a batch beside each other, one batch after the other.

The coordinator is the process that owns what is out of service (kraken_fleet.reconcile.owner). It lives from the first
batch to the last one, while each ansible-playbook lives for a slice of a batch. When it is killed, what it has left on
the server says that its owner has ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from kraken_fleet.api import KrakenClient
from kraken_fleet.inventory import Inventory
from kraken_fleet.inventory.addresses import refuse_shared
from kraken_fleet.model import DesiredFleet, ip_of
from kraken_fleet.reconcile.owner import owner_of
from kraken_fleet.reconcile.upgrade_batches import upgrade_batches
from kraken_fleet.scale.coordinator import Phases, exit_code
from kraken_fleet.scale.divide import divide
from kraken_fleet.scale.events import BatchStarted, Ended, Events, Output, Sliced, SliceEnded
from kraken_fleet.scale.playbook import ACCESS, check
from kraken_fleet.scale.runner import Runner, Slice
from kraken_fleet.scale.upgrade_batch import Batch, Result, Results
from kraken_fleet.scale.upgrade_limits import Limits


def upgrade_in_slices(inventory: Inventory, client: KrakenClient, runner: Runner, size: int, phases: Phases) -> Events:
    """Upgrade the hosts of an inventory; yield what happens, one Ended at the end.

    Args:
        inventory: the hosts.
        client: of the server that they are registered with.
        runner: runs the slices.
        size: how many hosts a slice has at most.
        phases: whether to predict only, and the options of each ansible-playbook; all parts of an upgrade are wanted.

    Raises:
        FleetError: nothing could be begun, or nobody runs slices any more.
    """
    return _Upgrade(inventory, client, _Slices(inventory, runner, size, phases), phases).run()


@dataclass
class _Slices:
    """Has hosts worked on by workers, and counts slices from the first batch to the last one."""

    inventory: Inventory
    runner: Runner
    size: int
    phases: Phases
    _last: int = 0
    _now: tuple[Slice, ...] = ()

    def run(self, more: Mapping[str, Mapping[str, Any]], *, check: bool = False) -> Results:
        """Run slices of these hosts.

        Args:
            more: variables of each host besides those of the inventory.
            check: predict only.

        Returns:
            the hosts' results, as a file of kraken_registration_results has them.
        """
        known = self.inventory.hosts()
        hosts = {host: ({**known[host][0], **own}, known[host][1]) for host, own in more.items()}
        options = dataclasses.replace(self.phases, check=check).options
        self._now = slices = tuple(divide(hosts, self.size, options, self._last + 1))
        self._last += len(slices)
        yield Sliced({one.number: len(one.hosts) for one in slices})
        results: dict[str, Result] = {}
        # Closed before anybody goes on, also when somebody interrupts this.
        with contextlib.closing(self.runner.run(slices)) as events:
            for event in events:
                if isinstance(event, SliceEnded):
                    results.update(event.hosts)
                yield event
        return results

    def begun(self) -> set[str]:
        """Return the hosts of the last run on which work may have been begun."""
        return {host for one in self._now if one.number in self.runner.begun for host in one.hosts}


@dataclass
class _Upgrade:
    inventory: Inventory
    client: KrakenClient
    slices: _Slices
    phases: Phases

    def run(self) -> Events:
        limits = Limits.of(self.inventory)
        # First of all, since a secret among the variables is to be told before anything is done.
        divide(self.inventory.hosts(), self.slices.size)
        if code := (yield from check(self.inventory, ACCESS, *self.phases.options)):
            yield Ended(code)
            return
        found = yield from self.slices.run({host: {} for host in self.inventory.hosts()}, check=True)
        results = {host: _not_upgraded(result) for host, result in found.items() if "failed" in result}
        fleet = addressed(self.inventory.fleet(resolve=None), found)
        owner = owner_of(os.getpid())
        sizes = (limits.serial, limits.max_unavailable)
        made = upgrade_batches(self.client, fleet, owner, *sizes, check=self.phases.check)
        for number, hosts in enumerate(made.hosts, 1):
            wanted = [host for host in hosts if host not in results and _is_wanted(host, found[host], made.left)]
            if wanted:
                yield BatchStarted(number, len(made.hosts), tuple(wanted))
            if self.phases.check:
                yield from (Output(f"{host}: would be drained and upgraded") for host in wanted)
            elif wanted:
                batch = Batch(self.client, owner, limits, fleet, found, self.slices)
                yield from batch.run(wanted)
                results |= batch.failures
            if is_over(results.keys() & {*hosts}, hosts, limits) and number < len(made.hosts):
                rest = sum(map(len, itertools.islice(made.hosts, number, None)))
                yield Output(f"Batch {number} of {len(made.hosts)} has failed hosts: {rest} hosts are left as they are")
                break
        yield from (Output(f"{host}: failed: {result['failed']}") for host, result in sorted(results.items()))
        yield Ended(exit_code(results.values()), {host: str(result["failed"]) for host, result in results.items()})


def _is_wanted(host: str, result: Result, left: Collection[str]) -> bool:
    return bool(result.get("changed")) or host in left


def is_over(bad: Collection[str], hosts: Collection[str], limits: Limits) -> bool:
    """Say whether no other batch may follow one, as Ansible says it."""
    return len(bad) * 100 > limits.max_fail_percentage * len(hosts) or len(bad) == len(hosts)


def _not_upgraded(result: Result) -> Result:
    return {**result, "failed": f"Not upgraded: {result['failed']}"}


def addressed(fleet: DesiredFleet, found: Mapping[str, Result]) -> DesiredFleet:
    """Give agents the addresses that their hosts have said, where the inventory does not.

    Raises:
        InventoryError: two agents have one address.
    """
    said = {
        (host, str(one.get("name", ""))): address
        for host, result in found.items()
        for one in result.get("agents") or ()
        if (address := ip_of(str(one.get("address"))))
    }
    agents = tuple(
        one if ip_of(one.address) else dataclasses.replace(one, address=said.get((one.host, one.instance), one.address))
        for one in fleet.agents
    )
    refuse_shared(agents)
    return dataclasses.replace(fleet, agents=agents)
