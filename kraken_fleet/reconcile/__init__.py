"""Making a server as an inventory wants it, told as a stream of events."""

from kraken_fleet.reconcile.apply import apply, apply_saved
from kraken_fleet.reconcile.arrival import Arrival, wait_for_agents
from kraken_fleet.reconcile.cancel import cancel_jobs
from kraken_fleet.reconcile.clock import Clock, SystemClock
from kraken_fleet.reconcile.disabling import are_over, disabling
from kraken_fleet.reconcile.events import (
    Changed,
    Done,
    Draining,
    Event,
    Failed,
    Finished,
    Missing,
    Planned,
    RoundFailed,
    Sleeping,
    TrialFailed,
    TrialPassed,
    Waiting,
)
from kraken_fleet.reconcile.group_memory import GroupMemory
from kraken_fleet.reconcile.groups_of_agents import change_groups
from kraken_fleet.reconcile.ignored import Ignored
from kraken_fleet.reconcile.lifecycle import disable, drain, enable, remove
from kraken_fleet.reconcile.memories import Memories
from kraken_fleet.reconcile.nonce_memory import NonceMemory
from kraken_fleet.reconcile.observe import observe, with_waiting_jobs
from kraken_fleet.reconcile.peer_memory import PeerMemory
from kraken_fleet.reconcile.reading import Reading, read_server
from kraken_fleet.reconcile.run import reconcile, watch

__all__ = [
    "Arrival",
    "Changed",
    "Clock",
    "Done",
    "Draining",
    "Event",
    "Failed",
    "Finished",
    "GroupMemory",
    "Ignored",
    "Memories",
    "Missing",
    "NonceMemory",
    "PeerMemory",
    "Planned",
    "Reading",
    "RoundFailed",
    "Sleeping",
    "SystemClock",
    "TrialFailed",
    "TrialPassed",
    "Waiting",
    "apply",
    "apply_saved",
    "are_over",
    "cancel_jobs",
    "change_groups",
    "disable",
    "disabling",
    "drain",
    "enable",
    "observe",
    "read_server",
    "reconcile",
    "remove",
    "wait_for_agents",
    "watch",
    "with_waiting_jobs",
]
