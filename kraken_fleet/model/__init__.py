"""What things are: frozen values, no I/O. Kraken's own names throughout."""

from kraken_fleet.model.agent import Agent, GroupRef, HostInfo, JobRef
from kraken_fleet.model.deploy import Deploy, HostResult
from kraken_fleet.model.fleet import DesiredAgent, DesiredFleet, ObservedFleet
from kraken_fleet.model.group import ALL_GROUP, AgentsGroup
from kraken_fleet.model.job import Job, JobState, LogLine, Run, RunState, Step, StepStatus
from kraken_fleet.model.system import System

__all__ = [
    "ALL_GROUP",
    "Agent",
    "AgentsGroup",
    "Deploy",
    "DesiredAgent",
    "DesiredFleet",
    "GroupRef",
    "HostInfo",
    "HostResult",
    "Job",
    "JobRef",
    "JobState",
    "LogLine",
    "ObservedFleet",
    "Run",
    "RunState",
    "Step",
    "StepStatus",
    "System",
]
