"""What a lab reports while it works."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from kraken_fleet.model import Agent, Deploy, Job


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Something that takes a moment begins."""

    title: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """It is over; `detail` is worth knowing, `seconds` is how long it took."""

    title: str
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line that ansible-playbook printed; `task` is the name when the line begins a task."""

    text: str
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A playbook has run."""

    deploy: Deploy


@dataclass(frozen=True, slots=True)
class AgentsReady:
    """The agents of the lab by their host's name, as the server knows them now."""

    agents: Mapping[str, Agent]


@dataclass(frozen=True, slots=True)
class JobVerified:
    """A real job that ran on a host's agent as its proof, and the line of its log that was read back."""

    host: str
    groups: tuple[str, ...]
    job: Job
    log_line: str


LabEvent = StepStarted | StepDone | OutputLine | Deployed | AgentsReady | JobVerified
# Closing it ends what it is in the middle of.
LabEvents = Generator[LabEvent, None, None]
