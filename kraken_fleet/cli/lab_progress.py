"""Showing a lab's events while they happen, and keeping what the answer needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from rich.status import Status
from rich.text import Text

from kraken_fleet.cli import output
from kraken_fleet.lab import AgentsReady, Deployed, JobVerified, LabEvent, LabEvents, OutputLine, StepDone, StepStarted
from kraken_fleet.model import Agent, Deploy, HostResult

_CHANGES_SHOWN = 5
# How a line of Ansible begins that says that a host did not skip the task.
_RAN = ("ok:", "changed:", "failed:", "fatal:", "included:")


@dataclass(slots=True)
class Seen:
    """What came by: the deploy, the agents after it, and the jobs that proved each group."""

    deploy: Deploy | None = None
    agents: Mapping[str, Agent] = field(default_factory=dict)
    verified: list[JobVerified] = field(default_factory=list)

    @property
    def changes(self) -> str:
        """Hosts that were changed, each with its number; empty when none was, which a failed deploy cannot claim."""
        if self.deploy is None:
            return "the deploy left no record"
        return ", ".join(f"{name}: {result.changed}" for name, result in self.deploy.hosts.items() if result.changed)


def _outcome(result: HostResult) -> str:
    """Return what became of a host, in one line."""
    if not result.succeeded:
        return f"failed: {result.message}"
    if not result.changes:
        return "nothing to change" if not result.changed else f"changed by {result.changed} tasks"
    # Directories come with what is in them; what was done on the server comes last.
    told = [change for change in result.changes if not change.startswith("make directory ")] or [*result.changes]
    more = len(told) - _CHANGES_SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return ", ".join(told[-_CHANGES_SHOWN:]) + rest


class LabProgress:
    """Follows events on the terminal: a line for all that is done, and below it what is being done.

    Args:
        quiet: show nothing, only keep.
        verbose: show each line of Ansible instead of the names of its tasks.
    """

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._console = output.console(stderr=True)
        self._status: Status | None = None
        self._task, self._task_began, self._task_ran = "", 0.0, False

    def title(self, text: str) -> None:
        """Print a heading between two parts."""
        if not self._quiet:
            self._console.print(Text(f"\n{text}", style="bold"))

    def follow(self, events: LabEvents) -> Seen:
        """Show events until they end."""
        seen = Seen()
        self._status = None if self._quiet else self._console.status("")
        try:
            if self._status:
                self._status.start()
            with closing(events):
                for event in events:
                    self._keep(event, seen)
                    if not self._quiet:
                        self._show(event)
        finally:
            if self._status:
                self._status.stop()
        return seen

    def _keep(self, event: LabEvent, seen: Seen) -> None:
        match event:
            case Deployed(deploy):
                seen.deploy = deploy
            case AgentsReady(agents):
                seen.agents = agents
            case JobVerified():
                seen.verified.append(event)

    def _show(self, event: LabEvent) -> None:
        match event:
            case StepStarted(title):
                self._now(title)
            case StepDone(title, detail, seconds):
                self._done(title, detail, seconds)
            case OutputLine(text, task):
                self._show_output(text, task)
            case Deployed(deploy):
                self._show_deploy(deploy)
            case AgentsReady(agents):
                self._show_agents(agents)
            case JobVerified(host, _, job, log_line):
                self._done(f"job {job.id} on {host} is done, and its log has come", f"log: {log_line}")

    def _show_output(self, text: str, task: str | None) -> None:
        if self._verbose:
            self._console.print(Text(text, style="dim"))
        elif task is not None:
            self._end_task()
            self._task, self._task_began = task, time.monotonic()
            self._now(task)
        elif text.startswith(_RAN):
            self._task_ran = True

    def _end_task(self) -> None:
        """Say that the task is done, unless all hosts have skipped it."""
        if self._task and self._task_ran:
            self._done(self._task, "", time.monotonic() - self._task_began)
        self._task, self._task_ran = "", False

    def _show_deploy(self, deploy: Deploy) -> None:
        self._end_task()
        for name, result in deploy.hosts.items():
            self._done(name, _outcome(result))

    def _show_agents(self, agents: Mapping[str, Agent]) -> None:
        for host, agent in agents.items():
            groups = ", ".join(sorted(agent.group_names))
            state = "authorized" if agent.authorized else "not authorized"
            self._done(f"agent {agent.address} on {host}", f"{state}, in {groups}")

    def _now(self, text: str) -> None:
        if self._status:
            self._status.update(Text(text))

    def _done(self, title: str, detail: str, seconds: float | None = None) -> None:
        took = f"  {seconds:.1f} s" if seconds is not None else ""
        self._console.print(
            Text.assemble(("✔ ", "green"), title, (f"  {detail}" if detail else "", "cyan"), (took, "dim"))
        )
