"""Limits between a socket and an application: connections, bodies, peers, attempts.

The embedded server and the console share it.
"""

from kraken_fleet.listen.attempts import AttemptLimit
from kraken_fleet.listen.health import ServerHealth
from kraken_fleet.listen.limits import Limits
from kraken_fleet.listen.peers import peer_of, plain_address, sender_of
from kraken_fleet.listen.refusals import Refusals
from kraken_fleet.listen.requests import RequestLimits
from kraken_fleet.listen.turns import Turns

__all__ = [
    "AttemptLimit",
    "Limits",
    "Refusals",
    "RequestLimits",
    "ServerHealth",
    "Turns",
    "peer_of",
    "plain_address",
    "sender_of",
]
