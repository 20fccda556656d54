"""A disposable fleet on this machine, from the first host to the last trace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kraken_fleet import bundle
from kraken_fleet.api import KrakenClient
from kraken_fleet.collection import collection_root
from kraken_fleet.errors import FleetError, LabError
from kraken_fleet.lab import files, processes
from kraken_fleet.lab.driver import DRIVERS, Driver, LabHost, load_driver
from kraken_fleet.lab.events import AgentsReady, JobVerified, LabEvents, StepDone, StepStarted
from kraken_fleet.lab.krakenci import krakenci_runs, start_krakenci, stop_krakenci
from kraken_fleet.lab.playbook import run_playbook
from kraken_fleet.lab.server import client_for, start_server
from kraken_fleet.lab.state import LabPaths, LabState, forget, held, lab_paths
from kraken_fleet.model import Agent, is_own_group
from kraken_fleet.processes import ProcessRef

# The embedded server, or the unmodified krakenci-server from PyPI.
SERVERS = ("embedded", "krakenci")
DEPLOY_PLAYBOOK = "deploy-agents.yml"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host of a lab: whether its agent runs, and how the server sees it (None: not at all, or no server)."""

    host: LabHost
    running: bool
    agent: Agent | None = None


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab at one moment."""

    name: str
    driver: str
    directory: Path
    server_url: str
    server_running: bool
    hosts: tuple[HostStatus, ...] = ()


class Lab:
    """One lab by its name.

    Args:
        parent: the directory that gets `.lab/NAME`.
        name: several labs may stand side by side.
    """

    def __init__(self, parent: Path, name: str) -> None:
        self.name = name
        self.paths: LabPaths = lab_paths(parent, name)

    def up(self, *, hosts: int = 3, driver: str = "local", server: str = SERVERS[0], port: int = 0) -> LabEvents:
        """Make the hosts, start the server, write the inventory. An interrupted lab is left for `down`.

        Args:
            hosts: how many.
            driver: one of DRIVERS, with a variant after a colon.
            server: one of SERVERS.
            port: of the embedded server; 0 takes a free one.

        Raises:
            LabError: the lab is there already, or something could not be made.
        """
        if hosts < 1:
            raise LabError(f"A lab needs at least one host, not {hosts}", hint="Give --hosts a number from 1 on")
        if server not in SERVERS:
            raise LabError(f"There is no lab server {server!r}", hint=f"Choose one of {', '.join(SERVERS)}")
        if self.paths.memory.exists():
            hint = f"Use it, or remove it with `{self.paths.down_command}`"
            raise LabError(f"The lab {self.name!r} is there already", where=str(self.paths.directory), hint=hint)
        chosen = load_driver(driver)
        with held(self.paths):
            # Saved before anything is made, so that `down` knows the driver of what an interrupted `up` has left.
            state = LabState(self.name, driver)
            state.save(self.paths)
            yield from self._make_bundles()
            yield from self._make_hosts(chosen, state, hosts)
            yield from self._make_server(chosen, server, port)

    def deploy(self, *extra: str) -> LabEvents:
        """Put agents on the hosts with the playbook; then tell which agents the server has and what jobs ran.

        Args:
            extra: more arguments of ansible-playbook.

        Raises:
            FleetError: the playbook failed.
        """
        state = self._state()
        with client_for(self.paths, state.server_url) as client:
            since = _newest_job(client)
            with closing(run_playbook(self.paths, DEPLOY_PLAYBOOK, *extra)) as events:
                yield from events
            known = {agent.address: agent for agent in client.agents()}
            agents = {host.name: known[host.address] for host in state.hosts if host.address in known}
            yield AgentsReady(agents)
            yield from _verified(client, agents, since)

    def status(self) -> LabStatus:
        """Return what is there of the lab now.

        Raises:
            LabError: there is no such lab.
        """
        state = self._state()
        running = load_driver(state.driver).alive(self.paths.directory, state.hosts)
        up = state.server.alive if state.server else krakenci_runs(self.paths)
        agents = self._agents(state) if up else {}
        hosts = tuple(HostStatus(host, running.get(host.name, False), agents.get(host.address)) for host in state.hosts)
        return LabStatus(self.name, state.driver, self.paths.directory, state.server_url, up, hosts)

    def down(self) -> bool:
        """Remove all of it, whatever is left of it; False when there was nothing. Repeatable.

        Raises:
            LabError: another command is changing the lab, or something would not go.
        """
        if not self.paths.directory.exists():
            return False
        with held(self.paths):
            state = self._state_if_readable()
            # Processes first: one that still runs could make files in the directory while it is removed.
            processes.stop(processes.running_in(self.paths.directory))
            stop_krakenci(self.paths)
            for driver in _drivers_of(state):
                driver.destroy(self.paths.directory)
            forget(self.paths)
        return True

    def playbook_for_people(self) -> str:
        """Say how the deploy playbook is named on a command line in this lab's environment."""
        return str(collection_root() / "playbooks" / DEPLOY_PLAYBOOK)

    def _make_bundles(self) -> LabEvents:
        title, began = "Agent", time.monotonic()
        yield StepStarted(title)
        made = bundle.build(self.paths.bundles)
        detail = ", ".join(f"{each.name} {each.release}" for each in made)
        yield StepDone(title, detail, time.monotonic() - began)

    def _make_hosts(self, driver: Driver, state: LabState, count: int) -> LabEvents:
        title, began = f"{count} hosts", time.monotonic()
        yield StepStarted(title)
        made = driver.create(self.paths.directory, files.host_names(count))
        replace(state, hosts=made).save(self.paths)
        yield StepDone(title, ", ".join(host.address for host in made), time.monotonic() - began)

    def _make_server(self, driver: Driver, kind: str, port: int) -> LabEvents:
        title, began = "Kraken server", time.monotonic()
        yield StepStarted(title)
        files.write_password(self.paths)
        process: ProcessRef | None = None
        if kind == "krakenci":
            url = start_krakenci(self.paths, driver.server_address)
        else:
            process, url = start_server(self.paths, driver.server_address, port)
        state = replace(self._state(), server=process, server_url=url)
        state.save(self.paths)
        files.write_inventory(self.paths, state.hosts, url)
        files.write_ansible_config(self.paths)
        files.write_environment(self.paths, url)
        yield StepDone(title, url, time.monotonic() - began)

    def _state(self) -> LabState:
        state = LabState.load(self.paths)
        if state is None:
            hint = f"Make it with `kraken-fleet lab up --name {self.name}`"
            raise LabError(f"There is no lab {self.name!r}", where=str(self.paths.directory), hint=hint)
        return state

    def _state_if_readable(self) -> LabState | None:
        try:
            return LabState.load(self.paths)
        except LabError:
            return None

    def _agents(self, state: LabState) -> dict[str, Agent]:
        try:
            with client_for(self.paths, state.server_url) as client:
                return {agent.address: agent for agent in (*client.agents(unauthorized=True), *client.agents())}
        except (FleetError, OSError):
            return {}


def _drivers_of(state: LabState | None) -> Iterator[Driver]:
    """Return the lab's driver; when its memory is lost, every driver that this machine can load."""
    if state:
        yield load_driver(state.driver)
        return
    for name in DRIVERS:
        with suppress(LabError):
            yield load_driver(name)


def _newest_job(client: KrakenClient) -> int:
    """Return the highest number of a job that any agent has run."""
    return max((job.id for agent in client.agents() for job in client.agent_jobs(agent.id, limit=1)), default=0)


def _verified(client: KrakenClient, agents: Mapping[str, Agent], since: int) -> Iterator[JobVerified]:
    """Return the jobs that have proven agents, with the last line that each wrote.

    Args:
        since: only jobs with a higher number.
    """
    for host, agent in sorted(agents.items()):
        for job in client.agent_jobs(agent.id):
            if job.id > since and job.over and is_own_group(job.agents_group_name or ""):
                lines = [line.message for line in client.job_log(job.id) if line.message.strip()]
                yield JobVerified(host, tuple(sorted(agent.group_names)), job, lines[-1] if lines else "")
                break
