"""Disposable fleets on this machine: real agents, a real playbook, the embedded server, and nothing left afterwards."""

from kraken_fleet.lab.driver import DRIVERS, Driver, LabHost
from kraken_fleet.lab.events import (
    AgentsReady,
    Deployed,
    JobVerified,
    LabEvent,
    LabEvents,
    OutputLine,
    StepDone,
    StepStarted,
)
from kraken_fleet.lab.lab import SERVERS, HostStatus, Lab, LabStatus
from kraken_fleet.lab.state import existing_labs

__all__ = [
    "DRIVERS",
    "SERVERS",
    "AgentsReady",
    "Deployed",
    "Driver",
    "HostStatus",
    "JobVerified",
    "Lab",
    "LabEvent",
    "LabEvents",
    "LabHost",
    "LabStatus",
    "OutputLine",
    "StepDone",
    "StepStarted",
    "existing_labs",
]
