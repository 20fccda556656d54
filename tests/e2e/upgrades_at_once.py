"""Four controllers that upgrade one fleet at once, one of which is killed in the middle of its upgrade."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from kraken_fleet.api import KrakenClient
from kraken_fleet.model import Agent, is_own_group
from kraken_fleet.processes import running
from tests.background import looking
from tests.waiting import eventually

log = logging.getLogger(__name__)

UPGRADE = "upgrade-agents.yml"
GROUP = "team"
# Of the eight agents in the group: one that a person has disabled, and no more than three for upgrades.
MOST_OUT = 4
SETTINGS = ("-e", "kraken_upgrade_serial=1", "-e", f"kraken_upgrade_max_unavailable={MOST_OUT}")
CONTROLLERS = 4
_SECONDS = 400.0


@dataclass
class Fleet:
    """Eight hosts whose agents are in one group, and how a controller upgrades some of them.

    Args:
        addresses: of the agents, by host.
        prepared: the command of a playbook with these arguments, and its environment.
        is_upgraded: whether a host has the new release.
        folder: where controllers write what they say.
    """

    client: KrakenClient
    addresses: Mapping[str, str]
    prepared: Callable[..., tuple[list[str], dict[str, str]]]
    is_upgraded: Callable[[str], bool]
    folder: Path
    most_out: int = field(default=0, init=False)
    _asking: Lock = field(default_factory=Lock, init=False)

    def agents(self) -> dict[str, Agent]:
        """What the server says of the agents, by host."""
        with self._asking:
            known = {agent.address: agent for agent in self.client.agents()}
        return {host: known[address] for host, address in self.addresses.items()}

    def disabled(self) -> set[str]:
        """The hosts whose agents get no jobs."""
        return {host for host, agent in self.agents().items() if agent.disabled}

    def groups(self) -> dict[str, frozenset[str]]:
        return {host: frozenset(agent.group_names) for host, agent in self.agents().items()}

    def look(self) -> None:
        """Keeps the largest number of agents that were out at one moment: disabled, or out of the group for a proof."""
        out = [agent for agent in self.agents().values() if agent.disabled or GROUP not in agent.group_names]
        self.most_out = max(self.most_out, len(out))

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Another controller: a process group of its own."""
        command, environment = self.prepared(UPGRADE, *SETTINGS, *arguments)
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


def upgraded_at_once(fleet: Fleet, by_hand: str) -> None:
    """Four controllers, a quarter of the hosts each; the first is killed when its first host has the new release.

    Args:
        by_hand: a host of the last controller, whose agent a person has disabled.
    """
    hosts = list(fleet.addresses)
    each = len(hosts) // CONTROLLERS
    parts = [hosts[each * number :][:each] for number in range(CONTROLLERS)]
    assert by_hand in parts[-1]
    before = fleet.groups()
    fleet.client.disable_agent(fleet.agents()[by_hand].id)

    with looking(fleet.look):
        controllers = [
            fleet.start(f"controller-{number}", "--limit", ",".join(part)) for number, part in enumerate(parts)
        ]
        killed = _kill_in_the_middle(fleet, controllers[0], parts[0])
        codes = [process.wait(_SECONDS) for process in controllers]
        said = "\n".join(fleet.said(f"controller-{n}") for n in (1, 2, 3))
        assert codes == [-signal.SIGKILL, 0, 0, 0], f"{codes}: {said}"
        assert fleet.disabled() == {killed, by_hand}, "only what was killed leaves an agent without jobs"

        last = fleet.start("last")
        assert last.wait(_SECONDS) == 0, fleet.said("last")
    assert fleet.disabled() == {by_hand}, fleet.said("last")
    assert fleet.groups() == before
    assert [host for host in hosts if not fleet.is_upgraded(host)] == []
    assert [group.name for group in fleet.client.groups() if is_own_group(group.name)] == []
    log.info("at most %d of %d agents were out at one moment; %d were allowed", fleet.most_out, len(hosts), MOST_OUT)
    assert fleet.most_out <= MOST_OUT
    assert fleet.most_out > 2, "one by hand and one that was killed are out, and at least one more"


def _kill_in_the_middle(fleet: Fleet, controller: subprocess.Popen[bytes], hosts: Sequence[str]) -> str:
    """Kill a controller between the upgrade of its first host and the time when that agent gets jobs again."""

    def signal_all(number: signal.Signals) -> None:
        # Ansible's forks are in sessions of their own, and have another parent once it has ended.
        forks = [pid for pid, process in running().items() if process.parent == controller.pid]
        for pid in (controller.pid, *forks):
            os.kill(pid, number)

    def in_the_middle() -> str:
        said = fleet.said("controller-0")
        assert controller.poll() is None, said
        if not [host for host in hosts if f"{host}: changed: " in said and f"{host}: enabled" not in said]:
            return ""
        # It goes on while it is looked at: it may have given the agent back just now, and does not while it is stopped.
        os.kill(controller.pid, signal.SIGSTOP)  # so that it starts no more forks
        signal_all(signal.SIGSTOP)
        out = [host for host in fleet.disabled().intersection(hosts) if fleet.is_upgraded(host)]
        if not out:
            signal_all(signal.SIGCONT)
        return next(iter(out), "")

    host = eventually(in_the_middle, seconds=_SECONDS / 2)
    signal_all(signal.SIGKILL)
    controller.wait()
    left = fleet.disabled().intersection(hosts)
    assert left == {host}, left
    return host
