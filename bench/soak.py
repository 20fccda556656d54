"""Does a fleet keep every job while everything around it fails? Two hundred agents, ten minutes, faults from a seed.

    python -m bench.soak                                       200 agents, 16 of them real; ten minutes
    python -m bench.soak --agents 30 --real 4 --seconds 60     a minute
    python -m bench.soak --seed 1234                           the faults of an earlier run once more

An embedded server, simulated agents and hosts with real ones, all on loopback, with a network between them that can be
cut. Jobs come all the time; playbooks deploy and upgrade meanwhile. Full disks need root (they are mounted), other
clocks need Debian's package faketime; what this machine cannot have is said and left out.

Exit code 1 when a job was lost or ran twice, or when something was left or grew: memory, descriptors, files, agents
groups, sessions, processes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from bench.soaking.checks import figures_of, problems_of
from bench.soaking.faults import Fault, planned
from bench.soaking.hosts import GROUP
from bench.soaking.server import Cost, cost_of
from bench.soaking.world import SIMULATED, World
from kraken_fleet.errors import FleetError
from tests.stages import stage_code

# Of the whole time: from then on the server is left alone, and what it holds must not grow.
_CALM = 0.6
_SAMPLE_SECONDS = 2.0
_REST_SECONDS = 240.0


@dataclass
class Record:
    """What a run has come to, for the checks."""

    began: float = field(default_factory=time.monotonic)
    faults: list[Fault] = field(default_factory=list)
    flows: int = 0
    refused_flows: int = 0
    server: list[Cost] = field(default_factory=list)
    agents: dict[str, list[Cost]] = field(default_factory=dict)
    quiet: Cost | None = None
    quiet_again: Cost | None = None
    unfinished: int = 0
    last_deploys: list[tuple[int, int]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Soak:
    """One run.

    Args:
        say: prints a line.
    """

    def __init__(self, options: argparse.Namespace, world: World, say: Any) -> None:
        self.options, self.world, self.say = options, world, say
        self.record = Record()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """All of it, from the first start to the last look."""
        record, world, seconds = self.record, self.world, self.options.seconds
        await world.start()
        record.quiet = cost_of(world.server.pid)
        record.began = time.monotonic()
        self.say(f"{self.options.agents} agents are at work, {self.options.real} of them real")
        kinds = world.kinds()
        record.faults = list(planned(self.options.seed, seconds, self.options.pause, kinds, seconds * _CALM))
        # What begins first has to see a stage to start.
        branches = await asyncio.to_thread(self._make_branches)
        work = [self._load(branches), self._roll_out(), self._sample()]
        tasks = [asyncio.create_task(one) for one in work]
        faults = [asyncio.create_task(self._suffer(fault)) for fault in record.faults]
        await asyncio.sleep(seconds)
        self._over.set()
        await asyncio.gather(*faults, *tasks)
        await self._come_to_rest()

    async def _suffer(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, self.record.began + fault.at - time.monotonic()))
        self.say(fault.said)
        await self.world.suffer(fault)

    def _make_branches(self) -> dict[str, int]:
        chance, found = random.Random(self.options.seed), {}  # noqa: S311 - no secret
        with self.world.client() as client:
            for group, jobs in ((SIMULATED, self.options.jobs), (GROUP, max(1, self.options.real // 4))):
                steps = [
                    [
                        {"tool": "shell", "cmd": self.world.ledger.command(number, chance.uniform(0.05, 1.5))}
                        for number in range(chance.randint(1, 3))
                    ]
                    for _ in range(jobs)
                ]
                environment = {"system": "any", "agents_group": group, "config": "default"}
                described = [
                    {"name": f"soak-{number}", "steps": one, "environments": [environment]}
                    for number, one in enumerate(steps)
                ]
                branch = client.create_branch(client.create_project(group).id, "main")
                client.create_stage(branch.id, "soak", stage_code(*described))
                found[group] = branch.id
        return found

    async def _load(self, branches: dict[str, int]) -> None:
        """Start flows all the time; one that the server refuses, or does not answer, is let be."""

        def start() -> None:
            for branch in branches.values():
                client.start_flow(branch)
                self.record.flows += 1

        with self.world.client() as client:
            while not self._over.is_set():
                try:
                    await asyncio.to_thread(start)
                except (FleetError, requests.RequestException):
                    self.record.refused_flows += 1
                await self._pause(self.options.every)

    async def _roll_out(self) -> None:
        """Deploy and upgrade in turns. Faults may make one fail; the last one must not."""
        while not self._over.is_set():
            await self._pause(self.options.rollout)
            if self._over.is_set():
                return
            playbook = (
                self.world.hosts.change_and_deploy if len(self.world.hosts.deploys) % 2 else self.world.hosts.upgrade
            )
            done = await playbook()
            self.say(f"{self.world.hosts.deploys[-1][0]} has ended with {done.code}")

    async def _sample(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, KeyError, IndexError):
                if self.world.server.is_up:
                    self.record.server.append(cost_of(self.world.server.pid))
            for name, cost in (await asyncio.to_thread(self.world.hosts.costs)).items():
                self.record.agents.setdefault(name, []).append(cost)
            await self._pause(_SAMPLE_SECONDS)

    async def _come_to_rest(self) -> None:
        """Wait until no job is left, deploy once more, twice, and look at what is left."""
        record, world = self.record, self.world
        self.say("no more faults and no more jobs: all that was begun comes to its end")
        first = await world.hosts.deploy()
        record.unfinished = await self._wait_for_jobs()
        second = await world.hosts.deploy()
        record.last_deploys = [(one.code, sum(one.changed.values())) for one in (first, second)]
        if first.code or second.code:
            self.say((first if first.code else second).text[-3000:])
        await asyncio.sleep(2)
        record.quiet_again = cost_of(world.server.pid)
        record.files = await asyncio.to_thread(world.hosts.left)

    async def _wait_for_jobs(self) -> int:
        deadline = time.monotonic() + _REST_SECONDS
        while (left := await asyncio.to_thread(self.world.unfinished)) and time.monotonic() < deadline:
            await asyncio.sleep(1)
        return left

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)


async def soak(options: argparse.Namespace, folder: Path) -> tuple[dict[str, object], list[str]]:
    """Run it; the figures, and what is wrong."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    world = World(folder, options.agents - options.real, options.real, options.poll)
    run = Soak(options, world, say)
    try:
        try:
            await run.run()
        finally:
            await world.stop()
        world.ledger.read()
        return figures_of(world, run.record), problems_of(world, run.record)
    finally:
        world.release()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=200, help="all of them (default 200)")
    parser.add_argument("--real", type=int, default=16, help="of them, real ones (default 16)")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long faults come (default 600)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the faults")
    parser.add_argument("--pause", type=float, default=6.0, help="seconds between two faults (default 6)")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two flows (default 3)")
    parser.add_argument("--jobs", type=int, default=20, help="simulated jobs of a flow (default 20)")
    parser.add_argument("--rollout", type=float, default=45.0, help="seconds between two playbooks (default 45)")
    parser.add_argument(
        "--poll", type=float, default=5.0, help="seconds between polls of a simulated agent (default 5)"
    )
    parser.add_argument("--json", action="store_true", help="print figures for programs")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        figures, problems = asyncio.run(soak(options, Path(folder).resolve()))
    figures["seed"] = options.seed
    figures["load average"] = round(os.getloadavg()[0], 1)
    print(
        json.dumps({**figures, "problems": problems})
        if options.json
        else "\n".join(f"{n:44} {v}" for n, v in figures.items())
    )
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
