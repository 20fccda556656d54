"""Secrets that were made for hosts before their machines exist, each of which proves one host once, for a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from kraken_fleet.model import Agent, DesiredAgent
from kraken_fleet.plan.trust import ATTESTED, AttestedTrust, Decision, TrustPolicy


@dataclass(frozen=True, slots=True)
class MadeNonce:
    """One of these secrets.

    Args:
        host: the inventory's name of the host.
        address: by which its agent introduces itself.
        sha256: of the secret, in hexadecimal; the secret itself is only in the host's user data.
        until: when it ends to count, with its time zone.
    """

    host: str
    address: str
    sha256: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class _ExceptTrust:
    """A policy for all agents but some, who have to report the secrets that were made for them."""

    policy: TrustPolicy
    addresses: frozenset[str]

    @property
    def name(self) -> str:
        return self.policy.name

    def decide(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        if agent.address in self.addresses:
            reason = f"the secret in the user data of {agent.address} does not count any more; make new user data"
            return Decision(admitted=False, policy=self.name, reason=reason)
        return self.policy.decide(agent, desired)

    def judge(self, agent: Agent, desired: DesiredAgent | None) -> Decision:
        return self.policy.judge(agent, desired)

    def doubt(self, agent: Agent, desired: DesiredAgent) -> str:
        return self.policy.doubt(agent, desired)


def trust_with_nonces(
    trust: tuple[TrustPolicy, ...], nonces: Iterable[MadeNonce], now: datetime
) -> tuple[TrustPolicy, ...]:
    """Return policies by which the agents of these hosts report their secrets; others are decided as before.

    Args:
        trust: the policies for all others.
        nonces: those that were made and did not prove their hosts yet, expired ones too.
        now: the time, with its time zone.
    """
    made = {nonce.address: nonce for nonce in nonces}
    if not made:
        return trust
    valid = {address: nonce.sha256 for address, nonce in made.items() if now < nonce.until}
    # Commands know of no other secrets, so one policy of that name does for all hosts that ask for it.
    kept = (_ExceptTrust(policy, frozenset(made)) for policy in trust if policy.name != ATTESTED)
    return (AttestedTrust(valid, hashed=True), *kept)
