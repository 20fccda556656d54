"""What a plan may do: how exact groups are, which agents it authorizes, what becomes of all others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from kraken_fleet.errors import PlanError
from kraken_fleet.plan.trust import TrustPolicy


class GroupsMode(StrEnum):
    """MERGE leaves an agent in groups that the inventory does not name; EXACT takes it out, save from `all`."""

    MERGE = "merge"
    EXACT = "exact"


class Prune(StrEnum):
    """What becomes of authorized agents that a complete inventory does not have."""

    REPORT = "report"
    DISABLE = "disable"
    UNAUTHORIZE = "unauthorize"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """How a plan is made.

    Args:
        groups_mode: for agents that say nothing else themselves.
        prune: see Prune.
        max_prune: percent of the server's authorized agents above which pruning is refused.
        stale_after: an agent not seen for longer is reported.
        trust: tried in order; the first that admits an agent decides. Empty: no agent is authorized. None: as the
            inventory says with kraken_registration_trust.
        give_back: enable agents that an upgrade has left disabled that was broken off. They have to work.
        heal: give a group whose name is used twice another one.

    Raises:
        PlanError: max_prune is not a percentage, or stale_after not positive.
    """

    groups_mode: GroupsMode = GroupsMode.MERGE
    prune: Prune = Prune.REPORT
    max_prune: float = 10.0
    stale_after: timedelta = timedelta(minutes=5)
    trust: tuple[TrustPolicy, ...] | None = None
    heal: bool = True
    give_back: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.max_prune <= 100:
            raise PlanError(f"max_prune is {self.max_prune:g}, not a percentage from 0 to 100")
        if self.stale_after <= timedelta(0):
            raise PlanError(f"stale_after is {self.stale_after}, not a positive time")
