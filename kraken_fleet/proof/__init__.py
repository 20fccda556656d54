"""Proof that agents work: jobs that run on them, and logs that are read back."""

from kraken_fleet.proof.agents import verify_agents
from kraken_fleet.proof.choice import Choice, choose
from kraken_fleet.proof.groups import GroupProof, require_proofs, verify_groups
from kraken_fleet.proof.hosts import HostProofs, prove_hosts

__all__ = [
    "Choice",
    "GroupProof",
    "HostProofs",
    "choose",
    "prove_hosts",
    "require_proofs",
    "verify_agents",
    "verify_groups",
]
