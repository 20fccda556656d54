"""How the agents of a host are authorized: kraken_registration_trust, with its networks and rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from kraken_fleet.errors import InventoryError
from kraken_fleet.inventory.types import is_locked
from kraken_fleet.model import UNREAD_TRUST, DesiredTrust, TrustRule
from kraken_fleet.model.trust import texts_of

_POLICY = "kraken_registration_trust"
_NETWORKS = f"{_POLICY}_networks"
_RULES = f"{_POLICY}_rules"
TRUST_VARIABLES = frozenset({_POLICY, _NETWORKS, _RULES})


def trust_of_host(host: str, variables: Mapping[str, object]) -> DesiredTrust:
    """Return how a host's agents are authorized. What is still a template or encrypted is left unread.

    Args:
        variables: those of the host, checked by their types.

    Raises:
        InventoryError: a network cannot be read, or a rule lacks something.
    """
    policy = variables.get(_POLICY)
    if policy in (None, "", DesiredTrust().policy):
        return DesiredTrust()
    needed = {"cidr": _NETWORKS, "rules": _RULES}.get(str(policy))
    if is_locked(policy) or (needed and is_locked(variables.get(needed))):
        return DesiredTrust(UNREAD_TRUST)
    if needed == _NETWORKS:
        return DesiredTrust("cidr", networks=_networks(host, _NETWORKS, variables.get(_NETWORKS)))
    if needed == _RULES:
        return DesiredTrust("rules", rules=_rules(host, variables.get(_RULES)))
    return DesiredTrust(str(policy))


def _rules(host: str, value: object) -> tuple[TrustRule, ...]:
    rules = []
    for number, body in enumerate(value if isinstance(value, list | tuple) else ()):
        place = f"{_RULES}[{number}]"
        try:
            rule = TrustRule.of(body)
        except (KeyError, TypeError, AttributeError) as error:
            text = "It is not a rule, with its networks and groups"
            raise InventoryError(text, host=host, variable=place) from error
        _networks(host, f"{place}.networks", rule.networks)
        rules.append(rule)
    return tuple(rules)


def _networks(host: str, place: str, value: object) -> tuple[str, ...]:
    try:
        networks = tuple(texts_of(value))
    except TypeError as error:
        raise InventoryError(str(error), host=host, variable=place) from error
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            hint = "Write it like 10.1.0.0/16"
            raise InventoryError(
                f"{network!r} is not a network ({error})", host=host, variable=place, hint=hint
            ) from error
    return networks
