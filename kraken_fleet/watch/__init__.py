"""Telling people what is wrong with a fleet, and when it is over: by web hook, mail or chat, once for each problem."""

from kraken_fleet.watch.changes import DEAD_TIME, LASTING, Times
from kraken_fleet.watch.events import Appeared, Looked, NotSent, Over, Sent, ToSend
from kraken_fleet.watch.memory import MemoryFile
from kraken_fleet.watch.problems import Topic
from kraken_fleet.watch.receivers import GivenUrl, Receiver, has_secret, receivers_of
from kraken_fleet.watch.rounds import Watch

__all__ = [
    "DEAD_TIME",
    "LASTING",
    "Appeared",
    "GivenUrl",
    "Looked",
    "MemoryFile",
    "NotSent",
    "Over",
    "Receiver",
    "Sent",
    "Times",
    "ToSend",
    "Topic",
    "Watch",
    "has_secret",
    "receivers_of",
]
