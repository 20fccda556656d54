"""What would have to change on a server for it to be as the inventory wants. Pure: no clock, no network, no disk."""

from kraken_fleet.plan.actions import (
    Action,
    Authorize,
    CreateGroup,
    DeleteAgent,
    Disable,
    Enable,
    GroupAction,
    Recheck,
    RenameGroup,
    SetDeployment,
    SetGroups,
    Unauthorize,
)
from kraken_fleet.plan.batches import batches, share
from kraken_fleet.plan.document import SCHEMA, Plan, plan_from_dict, plan_from_json, plan_to_dict, plan_to_json
from kraken_fleet.plan.finding import Finding
from kraken_fleet.plan.fingerprint import check_fresh
from kraken_fleet.plan.inventory_trust import trust_of, with_trust_of
from kraken_fleet.plan.made_nonces import MadeNonce, trust_with_nonces
from kraken_fleet.plan.make import make_plan
from kraken_fleet.plan.membership import groups_change
from kraken_fleet.plan.policy import GroupsMode, PlanPolicy, Prune
from kraken_fleet.plan.saved import check_against_inventory, check_against_server
from kraken_fleet.plan.trust import (
    ATTESTED,
    AttestedTrust,
    CidrTrust,
    Decision,
    InventoryTrust,
    RulesTrust,
    TrustPolicy,
    decide,
)
from kraken_fleet.plan.waiting_jobs import stranded

__all__ = [
    "ATTESTED",
    "SCHEMA",
    "Action",
    "AttestedTrust",
    "Authorize",
    "CidrTrust",
    "CreateGroup",
    "Decision",
    "DeleteAgent",
    "Disable",
    "Enable",
    "Finding",
    "GroupAction",
    "GroupsMode",
    "InventoryTrust",
    "MadeNonce",
    "Plan",
    "PlanPolicy",
    "Prune",
    "Recheck",
    "RenameGroup",
    "RulesTrust",
    "SetDeployment",
    "SetGroups",
    "TrustPolicy",
    "Unauthorize",
    "batches",
    "check_against_inventory",
    "check_against_server",
    "check_fresh",
    "decide",
    "groups_change",
    "make_plan",
    "plan_from_dict",
    "plan_from_json",
    "plan_to_dict",
    "plan_to_json",
    "share",
    "stranded",
    "trust_of",
    "trust_with_nonces",
    "with_trust_of",
]
