"""Which agents an inventory lets a server authorize. What the policies mean is in kraken_fleet.plan.trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# In place of a policy that cannot be read without a play: it is encrypted, or a template.
UNREAD_TRUST = "unread"


@dataclass(frozen=True, slots=True)
class TrustRule:
    """Agents with all of these properties come into these groups.

    Args:
        groups: agents groups.
        networks: the address is in one of them, and it connects from one of them. Needed: before an agent is authorized
            the server knows nothing else of it.
        systems: patterns like `debian-*`, one of which its system matches; empty for any.
        executors: it has all of them.
    """

    groups: frozenset[str]
    networks: tuple[str, ...]
    systems: tuple[str, ...] = ()
    executors: frozenset[str] = frozenset()

    @classmethod
    def of(cls, body: Mapping[str, object]) -> TrustRule:
        """Return a rule as an inventory or a file has it.

        Raises:
            KeyError: it names no groups or no networks.
            TypeError: something in it is not a list.
        """
        return cls(
            groups=frozenset(texts_of(body["groups"])),
            networks=tuple(texts_of(body["networks"])),
            systems=tuple(texts_of(body.get("systems"))),
            executors=frozenset(texts_of(body.get("executors"))),
        )

    @property
    def by_address_only(self) -> bool:
        """Whether it says nothing of an agent's system and executors."""
        return not self.systems and not self.executors


@dataclass(frozen=True, slots=True)
class DesiredTrust:
    """By which policy the agents of a host are authorized.

    Args:
        policy: a value of kraken_registration_trust, or UNREAD_TRUST.
        networks: for the policy `cidr`.
        rules: for the policy `rules`.
    """

    policy: str = "inventory"
    networks: tuple[str, ...] = ()
    rules: tuple[TrustRule, ...] = ()


def texts_of(value: object) -> Sequence[str]:
    """Return a list of texts, empty for None. A text with commas is a list, as Ansible reads it.

    Raises:
        TypeError: it is not a list.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return [text.strip() for text in value.split(",") if text.strip()]
    if not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is not a list")
    return [str(item) for item in value]
