"""Deploys and upgrades in slices: several processes or machines work on hosts, and this one alone on the server."""

from kraken_fleet.scale.coordinator import Phases, deploy_in_slices
from kraken_fleet.scale.events import (
    BatchStarted,
    DeployEvent,
    Ended,
    HostDone,
    HostStarted,
    Output,
    Sliced,
    SliceEnded,
    SliceStarted,
)
from kraken_fleet.scale.playbook import DEPLOY, UPGRADE, playbook_command
from kraken_fleet.scale.runner import Runner
from kraken_fleet.scale.upgrade import upgrade_in_slices

__all__ = [
    "DEPLOY",
    "UPGRADE",
    "BatchStarted",
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
    "upgrade_in_slices",
]
