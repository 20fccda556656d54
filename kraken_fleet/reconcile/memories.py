"""All that a command remembers of a server from one run to the next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kraken_fleet.model import DesiredFleet
from kraken_fleet.plan import PlanPolicy, with_trust_of
from kraken_fleet.reconcile.group_memory import GroupMemory
from kraken_fleet.reconcile.nonce_memory import NonceMemory
from kraken_fleet.reconcile.peer_memory import PeerMemory


@dataclass(frozen=True, slots=True)
class Memories:
    """What is remembered; None where nothing is.

    Args:
        groups: deleted agents groups, see observe.
        peers: where agents connected from, see observe.
        nonces: secrets that were made for hosts; their agents have to report them, whatever the policy is.
    """

    groups: GroupMemory | None = None
    peers: PeerMemory | None = None
    nonces: NonceMemory | None = None

    @classmethod
    def kept_in(cls, directory: Path, server: str, *, accept_peers: bool = False) -> Memories:
        """Return all that is remembered of a server in a state directory.

        Args:
            server: the server's URL.
            accept_peers: take the addresses that agents connect from now for right.
        """
        return cls(GroupMemory(directory), PeerMemory(directory, accept=accept_peers), NonceMemory(directory, server))

    def policy(self, policy: PlanPolicy, desired: DesiredFleet) -> PlanPolicy:
        """Return a policy by which hosts with a secret of their own have to report it, and others as `desired` says."""
        return self.nonces.policy(policy, desired) if self.nonces else with_trust_of(policy, desired)
