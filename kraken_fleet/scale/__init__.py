"""A deploy in slices: hosts are deployed by several processes or machines, and registered once by this one."""

from kraken_fleet.scale.coordinator import Phases, deploy_in_slices
from kraken_fleet.scale.events import (
    DeployEvent,
    Ended,
    HostDone,
    HostStarted,
    Output,
    Sliced,
    SliceEnded,
    SliceStarted,
)
from kraken_fleet.scale.playbook import DEPLOY, playbook_command
from kraken_fleet.scale.runner import Runner

__all__ = [
    "DEPLOY",
    "DeployEvent",
    "Ended",
    "HostDone",
    "HostStarted",
    "Output",
    "Phases",
    "Runner",
    "SliceEnded",
    "SliceStarted",
    "Sliced",
    "deploy_in_slices",
    "playbook_command",
]
