"""One batch of an upgrade in slices: drained, upgraded by workers, proven, and given back by the coordinator."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kraken_fleet.api import KrakenClient
from kraken_fleet.errors import FleetError, StoppedError
from kraken_fleet.model import Agent, DesiredFleet, Owner
from kraken_fleet.proof import HostProofs, prove_hosts
from kraken_fleet.reconcile import Changed, Draining, Event
from kraken_fleet.reconcile.events import Crowded
from kraken_fleet.reconcile.upgrade import give_back
from kraken_fleet.reconcile.upgrade_batches import drain_batch, to_drain
from kraken_fleet.scale.events import DeployEvent, Output
from kraken_fleet.scale.upgrade_limits import Limits

Result = Mapping[str, Any]
Results = Generator[DeployEvent, None, dict[str, Result]]
Steps = Generator[DeployEvent, None, None]

_UNKNOWN = "the server has no authorized agent with its address; deploy the host first"
_NOT_PROVEN_BACK = "it went back, and no job has proven it since, for the server failed"
_DOUBTFUL = "These agents stay disabled, for nobody knows whether they work"
_AGAIN = (
    "Run the same command again: it upgrades, proves and enables them. "
    "`kraken-fleet agents enable -i INVENTORY HOST...` enables them as they are"
)
# A host says which release it has. It becomes a variable, in which nothing may be a template.
_RELEASE = re.compile(r"[\w.:+@/-]{1,256}", re.ASCII)


class Slices(Protocol):
    """Has slices of hosts worked on."""

    def run(self, more: Mapping[str, Mapping[str, Any]]) -> Results:
        """Run slices of these hosts, each with more variables than the inventory has; return their results.

        Raises:
            FleetError: nobody runs slices any more.
        """

    def begun(self) -> Collection[str]:
        """Return the hosts of the last run on which work may have been begun."""


@dataclass
class Batch:
    """Hosts whose agents are out of service at the same time.

    Args:
        client: of the server.
        owner: whose upgrade it is.
        limits: how long to wait, and for how many.
        fleet: the agents of all hosts of the upgrade, with their addresses.
        found: the results of a prediction, by host.
        slices: has slices upgraded.
    """

    client: KrakenClient
    owner: Owner
    limits: Limits
    fleet: DesiredFleet
    found: Mapping[str, Result]
    slices: Slices
    # By host: what has failed and what became of the host, as the results of slices have it.
    failures: dict[str, Result] = field(default_factory=dict)
    _bad: dict[str, str] = field(default_factory=dict)
    # Hosts that were changed, or may have been, and that no job has proven since.
    _doubtful: set[str] = field(default_factory=set)
    _unproven: dict[str, str] = field(default_factory=dict)

    def run(self, hosts: Collection[str]) -> Steps:
        """Upgrade the hosts. However this ends, agents come back that are as they were or that a job has proven.

        Raises:
            StoppedError: somebody has interrupted it, and nobody knows whether some of the hosts work. Their agents
                stay out of service, until the same is run again.
            FleetError: nobody runs slices any more; the same holds for their agents.
        """
        try:
            tried = yield from self._drained(hosts)
            if tried:
                yield from self._upgraded(tried)
            yield from self._given_back()
        except BaseException as error:
            left = self._given_up(hosts)
            if left and isinstance(error, FleetError):
                raise FleetError(f"{error.message}. {_DOUBTFUL}: {left}", where=error.where, hint=_AGAIN) from error
            if left and isinstance(error, (KeyboardInterrupt, GeneratorExit)):
                raise StoppedError(f"Interrupted. {_DOUBTFUL}: {left}", hint=_AGAIN) from error
            raise

    def _given_up(self, hosts: Collection[str]) -> str:
        """Enable the agents of hosts that work for certain; name the hosts whose agents stay disabled."""
        try:
            _, failures = give_back(self.client, self.owner, doubtful=self._ids(self._doubtful))
        except FleetError as error:
            failures = dict.fromkeys((one.address for one in self._of(hosts).agents), str(error))
        known = self.fleet.by_address()
        return ", ".join(sorted(self._doubtful | {known[one].host for one in failures if one in known}))

    def _drained(self, hosts: Collection[str]) -> Generator[DeployEvent, None, list[str]]:
        """Drain the agents; return the hosts on which all could be drained."""
        fleet = self._of(hosts)
        known = {agent.address: agent for agent in self.client.agents()}
        agents = [known[one.address] for one in fleet.agents if one.address in known]
        unknown = {one.host for one in fleet.agents if one.address not in known or not known[one.address].authorized}
        todo = to_drain(self.client, agents, self.owner)
        allowed, timeout = self.limits.max_unavailable, self.limits.drain_timeout
        work = drain_batch(self.client, agents, todo, self.owner, max_unavailable=allowed, timeout=timeout)
        labels = {agent.name: fleet.by_address()[agent.address].label for agent in agents}
        failures = yield from _told(work, labels)
        left = {fleet.by_address()[address].host: why for address, why in failures.items()}
        left |= dict.fromkeys(unknown, _UNKNOWN)
        self._fail({host: f"Not upgraded: {why}" for host, why in left.items()})
        return [host for host in hosts if host not in left]

    def _upgraded(self, hosts: Collection[str]) -> Steps:
        """Upgrade and prove the hosts, and let those go back that do not work."""
        self._doubtful = {*hosts}
        try:
            results = yield from self.slices.run({host: {} for host in hosts})
        except BaseException:
            # Somebody has interrupted it, or nobody runs slices any more. What was not begun is as it was.
            self._doubtful &= {*self.slices.begun()}
            raise
        self._bad = {host: str(result["failed"]) for host, result in results.items() if "failed" in result}
        sound = [host for host in hosts if host not in self._bad]
        proofs = yield from self._proven(sound)
        self._unproven = dict.fromkeys(proofs.unproven, proofs.trouble)
        # They come back as they are; docs/lifecycle.md says so.
        self._doubtful -= proofs.unproven
        self._bad |= proofs.failures
        releases = {host: found for host in self._bad if (found := releases_of(self.found[host]))}
        unfit: dict[str, str] = {}
        if releases:
            again = yield from self.slices.run(
                {host: {"kraken_agent_releases": found} for host, found in releases.items()}
            )
            proofs = yield from self._proven([host for host, result in again.items() if "failed" not in result])
            unfit = dict.fromkeys(proofs.unproven, f"{_NOT_PROVEN_BACK}: {proofs.trouble}") | proofs.failures
        for host, why in self._bad.items():
            stays = unfit.get(host, "there was no release that it could go back to, or that did not work")
            names = ", ".join(dict.fromkeys(releases.get(host, {}).values()))
            outcome = f"Its agent stays disabled: {stays}" if host in self._doubtful else f"The host runs {names} again"
            self._fail({host: f"The upgrade did not work: {why}. {outcome}"}, results.get(host))

    def _proven(self, hosts: Collection[str]) -> Generator[DeployEvent, None, HostProofs]:
        if not hosts:
            return HostProofs()
        timeout = self.limits.verify_timeout
        fleet = self._of(hosts)
        proofs = HostProofs()
        try:
            prove_hosts(self.client, fleet, (), self.owner, each=True, alone=True, timeout=timeout, found=proofs)
        finally:
            self._doubtful -= proofs.hosts_proven(fleet)
        yield from map(Output, proofs.lines())
        return proofs

    def _given_back(self) -> Steps:
        """Enable the agents, save those of hosts that do not work."""
        back, failures = give_back(self.client, self.owner, self._ids(self._doubtful))
        self._doubtful.clear()  # the others are named as failed
        known = self.fleet.by_address()
        yield from (Output(f"{_label(known, agent)}: enabled") for agent in back)
        self._fail({known[address].host: f"Its agent could not be enabled: {why}" for address, why in failures.items()})
        text = "The host is upgraded and has jobs as before, but no job has proven its agent, for the server failed"
        self._fail({host: f"{text}: {why}" for host, why in self._unproven.items()})

    def _fail(self, failures: Mapping[str, str], result: Result | None = None) -> None:
        unreachable = {"unreachable": True} if result and result.get("unreachable") else {}
        for host, why in failures.items():
            self.failures.setdefault(host, {"failed": why} | unreachable)

    def _ids(self, hosts: Collection[str]) -> set[int]:
        addresses = {one.address for one in self._of(hosts).agents}
        return {agent.id for agent in self.client.agents() if agent.address in addresses} if addresses else set()

    def _of(self, hosts: Collection[str]) -> DesiredFleet:
        return dataclasses.replace(self.fleet, agents=tuple(one for one in self.fleet.agents if one.host in hosts))


def _label(known: Mapping[str, Any], agent: Agent) -> str:
    return str(known[agent.address].label) if agent.address in known else agent.address


def releases_of(result: Result) -> dict[str, str]:
    """Return the release of each agent of a host before its upgrade; empty when one of them had none."""
    found = {str(one.get("name", "")): str(one.get("release", "")) for one in result.get("agents") or ()}
    return found if found and all(map(_RELEASE.fullmatch, found.values())) else {}


def _told(
    work: Generator[Event, None, dict[str, str]], labels: Mapping[str, str]
) -> Generator[DeployEvent, None, dict[str, str]]:
    """Tell people what happens while agents are drained, each thing once."""
    told: set[str] = set()
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return dict(end.value)
        for line in _lines(event, labels):
            if line not in told:
                told.add(line)
                yield Output(line)


def _lines(event: Event, labels: Mapping[str, str]) -> Iterable[str]:
    if isinstance(event, Changed):
        yield f"{labels.get(event.subject, event.subject)}: {event.state}"
    elif isinstance(event, Draining):
        yield from (f"{labels.get(name, name)}: runs job {job}, and is waited for" for name, job in event.busy.items())
    elif isinstance(event, Crowded):
        yield f"Another upgrade has agents of {', '.join(event.groups)} disabled, and is waited for"
