"""Proof that agents work: jobs that run on them, and logs that are read back."""

from kraken_fleet.proof.agents import verify_agents
from kraken_fleet.proof.choice import Choice, choose
from kraken_fleet.proof.groups import GroupProof, require_proofs, verify_groups

__all__ = ["Choice", "GroupProof", "choose", "require_proofs", "verify_agents", "verify_groups"]
